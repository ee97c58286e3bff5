// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers: an array of zeroed pages behind an anonymous file, mapped by their
 * tenant and by the agent.
 *
 * The pages are there from BUF_ALLOC to the last reference: nobody can shorten
 * a buffer, a mapping never faults for lack of memory, and whoever pins them
 * for long (a device's driver) finds ordinary pages that do not move. They are
 * charged to the tenant's cgroup where the kernel can map such pages, and in
 * any case to the owner's byte quota: whole pages, until core/, every file and
 * every mapping have let go of the buffer. Pages that a tenant has lent to a pipe
 * or a socket meanwhile (vmsplice, MSG_ZEROCOPY) or somebody has pinned are freed
 * when those let go of them, and are not charged to the owner that long; they
 * stay its cgroup's.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "kmod/braid_priv.h"
#include "kmod/compat.h"

/* Freed where it falls due; more of them have a worker. */
#define FEW_PAGES	64

/* So many pages may wait for that worker before BUF_ALLOC waits too. */
#define MANY_PAGES	(64UL << (20 - PAGE_SHIFT))

static atomic_long_t waiting_pages;

static void pages_free(struct page **pages, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++) {
		__free_page(pages[i]);
		if (i % 1024 == 1023)
			cond_resched();
	}
	kvfree(pages);
}

static void buffer_free(struct braid_buffer *b)
{
	pages_free(b->pages, b->n_pages);
	braid_uncharge(b->queue, b->charge, b->bytes);
	kfree(b);
}

static void free_work(struct work_struct *work)
{
	struct braid_buffer *b = container_of(work, struct braid_buffer, free_work);

	atomic_long_sub(b->n_pages, &waiting_pages);
	buffer_free(b);
}

static void release_now(struct kref *ref)
{
	buffer_free(container_of(ref, struct braid_buffer, ref));
}

static void release_later(struct kref *ref)
{
	struct braid_buffer *b = container_of(ref, struct braid_buffer, ref);

	if (b->n_pages <= FEW_PAGES) {
		buffer_free(b);
		return;
	}
	atomic_long_add(b->n_pages, &waiting_pages);
	INIT_WORK(&b->free_work, free_work);
	queue_work(braid_free_wq, &b->free_work);
}

/* Whose pages they are frees them. */
void braid_buffer_put(struct braid_buffer *b)
{
	kref_put(&b->ref, release_now);
}

/* Somebody else does, and should not spend its time on it. */
void braid_buffer_put_later(struct braid_buffer *b)
{
	kref_put(&b->ref, release_later);
}

/*
 * No memory is an error of the tenant's, not a reason to kill processes: the
 * killer could not know whose pages these are.
 */
static struct page **pages_alloc(unsigned long n)
{
	gfp_t gfp = BRAID_GFP_MAPPED | __GFP_ZERO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	struct page **pages;
	unsigned long i;

	if (n > totalram_pages() || n > INT_MAX)
		return ERR_PTR(-ENOMEM);
	pages = kvmalloc_array(n, sizeof(*pages),
			       GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!pages)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < n; i++) {
		if (i % 1024 == 1023) {
			cond_resched();
			if (fatal_signal_pending(current))
				break;
		}
		pages[i] = alloc_page(gfp);
		if (!pages[i])
			break;
	}
	if (i == n)
		return pages;
	pages_free(pages, i);
	return ERR_PTR(-ENOMEM);
}

/* Whole pages, which may be larger than BRAID_BUF_ALIGN; a multiple of it. */
static u64 memory_of(u64 length)
{
	return round_up(length, PAGE_SIZE);
}

/* Whatever comes of it, the charge is the buffer's from now on, or given back. */
static struct braid_buffer *buffer_alloc(struct braid_queue *q, struct braid_charge *charge,
					 u64 length)
{
	struct braid_buffer *b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	int ret = -ENOMEM;

	if (!b)
		goto err;
	kref_init(&b->ref);
	b->queue = q;
	b->charge = charge;
	b->bytes = memory_of(length);
	b->n_pages = b->bytes >> PAGE_SHIFT;
	b->pages = pages_alloc(b->n_pages);
	if (!IS_ERR(b->pages))
		return b;
	ret = PTR_ERR(b->pages);
	kfree(b);
err:
	braid_uncharge(q, charge, memory_of(length));
	return ERR_PTR(ret);
}

/* Only after somebody asked for it: MADV_DONTNEED takes pages out. */
static vm_fault_t buffer_fault(struct vm_fault *vmf)
{
	struct braid_buffer *b = vmf->vma->vm_private_data;

	if (vmf->pgoff >= b->n_pages)
		return VM_FAULT_SIGBUS;
	vmf->page = b->pages[vmf->pgoff];
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct buffer_vm_ops = {
	.fault = buffer_fault,
};

static int buffer_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct braid_buffer *b = file->private_data;
	unsigned long n = vma_pages(vma), left = n;

	/* A private copy would never reach the agent, nor code run from here. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;
	if (vma->vm_pgoff > b->n_pages || n > b->n_pages - vma->vm_pgoff)
		return -ENXIO;
	braid_vm_flags_mod(vma, VM_MIXEDMAP | VM_DONTEXPAND, VM_MAYEXEC);
	vma->vm_ops = &buffer_vm_ops;
	vma->vm_private_data = b;
	return vm_insert_pages(vma, vma->vm_start, b->pages + vma->vm_pgoff, &left);
}

static int buffer_release(struct inode *inode, struct file *file)
{
	braid_buffer_put(file->private_data);
	return 0;
}

static const struct file_operations buffer_fops = {
	.owner = THIS_MODULE,
	.mmap = buffer_mmap,
	.release = buffer_release,
};

/* A file for @b, which takes a reference, at a descriptor that waits for it. */
static int buffer_file(struct braid_buffer *b, struct braid_call *call)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	kref_get(&b->ref);
	file = anon_inode_getfile("[braid-buffer]", &buffer_fops, b, O_RDWR | O_CLOEXEC);
	if (IS_ERR(file)) {
		braid_buffer_put(b);
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	call->new_file = file;
	call->new_fd = fd;
	return 0;
}

/*
 * Charge the owner before memory is got, so that many who ask at once get no
 * more of it than one. Rounds @length as the tenant sees it.
 */
static struct braid_charge *charge(struct braid_tenant *t, u64 *length)
{
	struct braid_charge *spare = kmalloc(sizeof(*spare), GFP_KERNEL_ACCOUNT), *c;
	struct braid_queue *q = t->queue;
	const struct bq_owner *o;
	int ret;

	if (!spare)
		return ERR_PTR(-ENOMEM);
	braid_queue_lock_clean(q);
	o = t->t.owner;
	ret = bq_buffer_check(&q->bq, &t->t, length);
	if (!ret && *length > U64_MAX - (PAGE_SIZE - 1))
		ret = -EOVERFLOW;
	c = ret ? ERR_PTR(ret) :
	    braid_charge(q, o->key, memory_of(*length), o->limits.byte_quota, &spare);
	braid_queue_unlock_clean(q);
	kfree(spare);
	return c;
}

/* Into the queue: from now on core/ has it too, until it is on the reap list. */
static int buffer_add(struct braid_tenant *t, struct braid_buffer *b, u64 length)
{
	struct braid_queue *q = t->queue;
	int ret;

	braid_queue_lock(q);
	ret = bq_buffer_add(&q->bq, &t->t, &b->b, length);
	if (!ret)
		kref_get(&b->ref);
	braid_queue_unlock(q);
	return ret;
}

int braid_buf_alloc(struct braid_call *call)
{
	struct braid_buf_alloc *a = &call->arg.buf_alloc;
	struct braid_tenant *t = call->tenant;
	struct braid_charge *c;
	u64 length = a->length;
	struct braid_buffer *b;
	int ret;

	if (a->flags)
		return -EOPNOTSUPP;
	if (a->reserved)
		return -E2BIG;
	c = charge(t, &length);
	if (IS_ERR(c))
		return PTR_ERR(c);
	if (atomic_long_read(&waiting_pages) > MANY_PAGES)
		flush_workqueue(braid_free_wq);
	b = buffer_alloc(t->queue, c, length);
	if (IS_ERR(b))
		return PTR_ERR(b);
	ret = buffer_file(b, call);
	if (ret)
		goto out;
	ret = buffer_add(t, b, length);
	if (ret) {
		put_unused_fd(call->new_fd);
		fput(call->new_file);
		call->new_file = NULL;
		goto out;
	}
	a->length = length;
	a->id = b->b.id;
	a->fd = call->new_fd;
out:
	/* Ours; its file has one, and core/ perhaps. */
	braid_buffer_put(b);
	return ret;
}

/* The tenant never learned of it. */
void braid_buf_alloc_undo(struct braid_call *call)
{
	struct braid_queue *q = call->queue;

	braid_queue_lock(q);
	bq_buffer_free(&q->bq, &call->tenant->t, call->arg.buf_alloc.id);
	braid_queue_unlock(q);
}

int braid_buf_free(struct braid_call *call)
{
	struct braid_buf_free *f = &call->arg.buf_free;
	struct braid_queue *q = call->queue;
	int ret;

	if (f->flags)
		return -EOPNOTSUPP;
	braid_queue_lock(q);
	ret = bq_buffer_free(&q->bq, &call->tenant->t, f->id);
	braid_queue_unlock(q);
	return ret;
}

int braid_agent_buf_get_fd(struct braid_call *call)
{
	struct braid_buf_get_fd *g = &call->arg.buf_get_fd;
	struct braid_queue *q = call->queue;
	struct braid_buffer *b = NULL;
	struct bq_buffer *found;
	int ret;

	if (g->flags)
		return -EOPNOTSUPP;
	if (g->reserved)
		return -E2BIG;
	braid_queue_lock_clean(q);
	found = call->agent->gone ? NULL : bq_buffer_get(&q->bq, g->id);
	if (found) {
		b = container_of(found, struct braid_buffer, b);
		kref_get(&b->ref);
		g->length = found->length;
	}
	ret = call->agent->gone ? -ENODEV : -ENOENT;
	braid_queue_unlock_clean(q);
	if (!b)
		return ret;
	ret = buffer_file(b, call);
	if (!ret)
		g->fd = call->new_fd;
	braid_buffer_put_later(b);
	return ret;
}

int braid_agent_buf_put(struct braid_call *call)
{
	struct braid_buf_put *p = &call->arg.buf_put;
	struct braid_queue *q = call->queue;
	int ret;

	if (p->flags)
		return -EOPNOTSUPP;
	braid_queue_lock(q);
	ret = call->agent->gone ? -ENODEV : bq_buffer_put(&q->bq, p->id);
	braid_queue_unlock(q);
	return ret;
}
