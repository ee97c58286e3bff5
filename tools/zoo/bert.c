// SPDX-License-Identifier: MIT
/*
 * BERT encoders with pooler, as PyTorch's exporter writes them: linear layers
 * as MatMul and Add, GELU through Erf, the mask added to the scores as a large
 * negative number; layer normalisation as one node from opset 17 on and in
 * primitive nodes before.
 *
 * bert_6x384 has the shape of MiniLM-L6-H384: 22,713,216 parameters.
 *
 * Source: Devlin et al., "BERT", NAACL 2019; Wang et al., "MiniLM", 2020.
 */
#include <float.h>
#include <math.h>

#include "models.h"

#define LN_EPSILON	1e-12f

/* One encoder's shape; all extents but the batch, which the options give. */
struct bert {
	int layers, hidden, heads, ffn, tokens, vocab, positions;
};

static struct zoo_value *like(struct zoo *z, Onnx__NodeProto *n, const struct zoo_value *x)
{
	return zoo_out(z, n, x->type, x->rank, x->dims);
}

static struct zoo_value *unary(struct zoo *z, const char *name, const char *op,
			       const struct zoo_value *x)
{
	return like(z, zoo_node(z, name, op, ZOO_INPUTS(x)), x);
}

/* Elementwise; the result has the shape of @shape, one of the two. */
static struct zoo_value *binary(struct zoo *z, const char *name, const char *op,
				const struct zoo_value *a, const struct zoo_value *b,
				const struct zoo_value *shape)
{
	return like(z, zoo_node(z, name, op, ZOO_INPUTS(a, b)), shape);
}

static struct zoo_value *constant(struct zoo *z, const char *op, const struct zoo_value *a,
				  const char *name, float k)
{
	struct zoo_value *c = zoo_scalar(z, zoo_printf(z, "%s.value", name), k);

	return binary(z, name, op, a, c, a);
}

/* x W + b over the last dimension. */
static struct zoo_value *linear(struct zoo *z, const char *name, const struct zoo_value *x,
				int out)
{
	const int in = x->dims[x->rank - 1];
	struct zoo_value *w, *b, *y;
	int64_t dims[ZOO_MAX_RANK];
	Onnx__NodeProto *n;

	zoo_push(z, "%s", name);
	w = zoo_normal(z, "weight", ZOO_DIMS(in, out), 1 / sqrt(in), NULL);
	b = zoo_uniform(z, "bias", ZOO_DIMS(out), -0.1f, 0.2f);
	n = zoo_node(z, "MatMul", "MatMul", ZOO_INPUTS(x, w));
	for (int i = 0; i < x->rank; i++)
		dims[i] = i == x->rank - 1 ? out : x->dims[i];
	y = zoo_out(z, n, ZOO_FLOAT, x->rank, dims);
	y = binary(z, "Add", "Add", b, y, y);
	zoo_pop(z);
	return y;
}

static struct zoo_value *mean_of_last(struct zoo *z, const char *name,
				      const struct zoo_value *x)
{
	Onnx__NodeProto *n = zoo_node(z, name, "ReduceMean", ZOO_INPUTS(x));

	zoo_set_ints(z, n, "axes", ZOO_DIMS(-1));
	zoo_set_int(z, n, "keepdims", 1);
	return zoo_out(z, n, ZOO_FLOAT, ZOO_DIMS(x->dims[0], x->dims[1], 1));
}

static struct zoo_value *layer_norm(struct zoo *z, const char *name, struct zoo_value *x)
{
	const int64_t hidden = x->dims[x->rank - 1];
	struct zoo_value *gamma, *beta, *mean, *var, *y;

	zoo_push(z, "%s", name);
	gamma = zoo_uniform(z, "weight", ZOO_DIMS(hidden), 0.8f, 0.4f);
	beta = zoo_uniform(z, "bias", ZOO_DIMS(hidden), -0.1f, 0.2f);
	if (zoo_opt(z)->opset >= 17) {
		Onnx__NodeProto *n = zoo_node(z, "LayerNormalization", "LayerNormalization",
					      ZOO_INPUTS(x, gamma, beta));

		zoo_set_int(z, n, "axis", -1);
		zoo_set_float(z, n, "epsilon", LN_EPSILON);
		y = like(z, n, x);
	} else {
		mean = mean_of_last(z, "ReduceMean", x);
		y = binary(z, "Sub", "Sub", x, mean, x);
		var = mean_of_last(z, "ReduceMean_1", constant(z, "Pow", y, "Pow", 2));
		var = unary(z, "Sqrt", "Sqrt", constant(z, "Add", var, "Add", LN_EPSILON));
		y = binary(z, "Div", "Div", y, var, y);
		y = binary(z, "Mul", "Mul", y, gamma, y);
		y = binary(z, "Add_1", "Add", y, beta, y);
	}
	zoo_pop(z);
	return y;
}

static struct zoo_value *gelu(struct zoo *z, struct zoo_value *x)
{
	struct zoo_value *y;

	zoo_push(z, "gelu");
	y = unary(z, "Erf", "Erf", constant(z, "Div", x, "Div", (float)M_SQRT2));
	y = constant(z, "Add", y, "Add", 1);
	y = binary(z, "Mul", "Mul", x, y, x);
	y = constant(z, "Mul", y, "Mul_1", 0.5f);
	zoo_pop(z);
	return y;
}

static struct zoo_value *transpose(struct zoo *z, const char *name, const struct zoo_value *x,
				   const int64_t perm[4])
{
	Onnx__NodeProto *n = zoo_node(z, name, "Transpose", ZOO_INPUTS(x));
	int64_t dims[4];

	for (int i = 0; i < 4; i++)
		dims[i] = x->dims[perm[i]];
	zoo_set_ints(z, n, "perm", 4, perm);
	return zoo_out(z, n, ZOO_FLOAT, 4, dims);
}

/* A free batch is written as 0, which Reshape reads as "copy". */
static struct zoo_value *reshape(struct zoo *z, const char *name, const struct zoo_value *x,
				 size_t rank, const int64_t *dims)
{
	struct zoo_value *shape = zoo_int64s(z, zoo_printf(z, "%s.shape", name), rank, dims);

	return zoo_out(z, zoo_node(z, name, "Reshape", ZOO_INPUTS(x, shape)), ZOO_FLOAT, rank,
		       dims);
}

/* [N][tokens][hidden] to heads, [N][heads][tokens][depth], or transposed for keys. */
static struct zoo_value *heads(struct zoo *z, const struct bert *b, const char *name,
			       const struct zoo_value *x, const int64_t perm[4])
{
	const int depth = b->hidden / b->heads;
	struct zoo_value *y = linear(z, name, x, b->hidden);

	zoo_push(z, "%s", name);
	y = reshape(z, "Reshape", y, ZOO_DIMS(x->dims[0], b->tokens, b->heads, depth));
	y = transpose(z, "Transpose", y, perm);
	zoo_pop(z);
	return y;
}

static struct zoo_value *matmul(struct zoo *z, const char *name, const struct zoo_value *a,
				const struct zoo_value *b)
{
	return zoo_out(z, zoo_node(z, name, "MatMul", ZOO_INPUTS(a, b)), ZOO_FLOAT,
		       ZOO_DIMS(a->dims[0], a->dims[1], a->dims[2], b->dims[3]));
}

/* How both halves of a layer end: a product, the sum with @x, normalised. */
static struct zoo_value *output(struct zoo *z, const struct bert *b, struct zoo_value *y,
				const struct zoo_value *x)
{
	zoo_push(z, "output");
	y = linear(z, "dense", y, b->hidden);
	y = layer_norm(z, "LayerNorm", binary(z, "Add", "Add", y, x, y));
	zoo_pop(z);
	return y;
}

static struct zoo_value *attention(struct zoo *z, const struct bert *b, struct zoo_value *x,
				   const struct zoo_value *mask)
{
	static const int64_t to_heads[] = { 0, 2, 1, 3 }, to_keys[] = { 0, 2, 3, 1 };
	struct zoo_value *q, *k, *v, *y;
	Onnx__NodeProto *n;

	zoo_push(z, "self");
	q = heads(z, b, "query", x, to_heads);
	k = heads(z, b, "key", x, to_keys);
	v = heads(z, b, "value", x, to_heads);
	y = matmul(z, "scores", q, k);
	y = constant(z, "Div", y, "Div", sqrtf(b->hidden / b->heads));
	y = binary(z, "Add", "Add", y, mask, y);
	n = zoo_node(z, "Softmax", "Softmax", ZOO_INPUTS(y));
	zoo_set_int(z, n, "axis", -1);
	y = matmul(z, "context", like(z, n, y), v);
	y = transpose(z, "Transpose", y, to_heads);
	y = reshape(z, "Reshape", y, ZOO_DIMS(x->dims[0], b->tokens, b->hidden));
	zoo_pop(z);

	return output(z, b, y, x);
}

static struct zoo_value *encoder_layer(struct zoo *z, const struct bert *b, struct zoo_value *x,
				       const struct zoo_value *mask)
{
	struct zoo_value *y;

	zoo_push(z, "attention");
	x = attention(z, b, x, mask);
	zoo_pop(z);
	zoo_push(z, "intermediate");
	y = gelu(z, linear(z, "dense", x, b->ffn));
	zoo_pop(z);
	return output(z, b, y, x);
}

static struct zoo_value *gather(struct zoo *z, const char *name, struct zoo_value *table,
				const struct zoo_value *ids)
{
	Onnx__NodeProto *n = zoo_node(z, name, "Gather", ZOO_INPUTS(table, ids));

	return zoo_out(z, n, ZOO_FLOAT, ZOO_DIMS(ids->dims[0], ids->dims[1], table->dims[1]));
}

static struct zoo_value *embeddings(struct zoo *z, const struct bert *b,
				    const struct zoo_value *ids, const struct zoo_value *types)
{
	int64_t *positions = zoo_alloc(z, b->tokens * sizeof(*positions));
	struct zoo_value *word, *type, *where, *table, *x;
	Onnx__NodeProto *n;

	for (int i = 0; i < b->tokens; i++)
		positions[i] = i;
	zoo_push(z, "embeddings");
	table = zoo_normal(z, "word_embeddings.weight", ZOO_DIMS(b->vocab, b->hidden), 1, NULL);
	word = gather(z, "word_embeddings", table, ids);
	table = zoo_normal(z, "token_type_embeddings.weight", ZOO_DIMS(2, b->hidden), 0.3, NULL);
	type = gather(z, "token_type_embeddings", table, types);
	x = binary(z, "Add", "Add", word, type, word);

	table = zoo_normal(z, "position_embeddings.weight", ZOO_DIMS(b->positions, b->hidden),
			   0.3, NULL);
	where = zoo_int64s(z, "position_ids", b->tokens, positions);
	n = zoo_node(z, "position_embeddings", "Gather", ZOO_INPUTS(table, where));
	where = zoo_out(z, n, ZOO_FLOAT, ZOO_DIMS(b->tokens, b->hidden));
	x = layer_norm(z, "LayerNorm", binary(z, "Add_1", "Add", x, where, x));
	zoo_pop(z);
	return x;
}

/* [N][tokens] of ones and zeros to [N][1][1][tokens] of zeros and -FLT_MAX. */
static struct zoo_value *extend_mask(struct zoo *z, const struct zoo_value *mask)
{
	struct zoo_value *axes, *one, *m;
	const int64_t dims[4] = { mask->dims[0], 1, 1, mask->dims[1] };
	Onnx__NodeProto *n;

	zoo_push(z, "mask");
	axes = zoo_int64s(z, "axes", 2, (const int64_t[]){ 1, 2 });
	m = zoo_out(z, zoo_node(z, "Unsqueeze", "Unsqueeze", ZOO_INPUTS(mask, axes)), ZOO_INT64,
		    4, dims);
	n = zoo_node(z, "Cast", "Cast", ZOO_INPUTS(m));
	zoo_set_int(z, n, "to", ZOO_FLOAT);
	m = zoo_out(z, n, ZOO_FLOAT, 4, dims);
	one = zoo_scalar(z, "one", 1);
	m = binary(z, "Sub", "Sub", one, m, m);
	m = constant(z, "Mul", m, "Mul", -FLT_MAX);
	zoo_pop(z);
	return m;
}

/* The first token's hidden state through a linear layer and tanh. */
static struct zoo_value *pooler(struct zoo *z, const struct bert *b, const struct zoo_value *x)
{
	struct zoo_value *w, *bias, *index, *first;
	Onnx__NodeProto *n;
	const int64_t dims[2] = { x->dims[0], b->hidden };

	zoo_push(z, "pooler.dense");
	index = zoo_int64s(z, "first", 1, (const int64_t[]){ 0 });
	n = zoo_node(z, "Gather", "Gather", ZOO_INPUTS(x, index));
	zoo_set_int(z, n, "axis", 1);
	first = zoo_out(z, n, ZOO_FLOAT, ZOO_DIMS(x->dims[0], 1, b->hidden));
	n = zoo_node(z, "Flatten", "Flatten", ZOO_INPUTS(first));
	zoo_set_int(z, n, "axis", 1);
	first = zoo_out(z, n, ZOO_FLOAT, 2, dims);
	w = zoo_normal(z, "weight", ZOO_DIMS(b->hidden, b->hidden), 1 / sqrt(b->hidden), NULL);
	bias = zoo_uniform(z, "bias", ZOO_DIMS(b->hidden), -0.1f, 0.2f);
	n = zoo_node(z, "Gemm", "Gemm", ZOO_INPUTS(first, w, bias));
	zoo_set_int(z, n, "transB", 1);
	first = unary(z, "Tanh", "Tanh", zoo_out(z, n, ZOO_FLOAT, 2, dims));
	zoo_pop(z);
	return first;
}

static void build_bert(struct zoo *z, const struct bert *b)
{
	const int64_t dims[2] = { zoo_opt(z)->batch, b->tokens };
	struct zoo_value *ids = zoo_input(z, "input_ids", ZOO_INT64, 2, dims);
	struct zoo_value *mask = zoo_input(z, "attention_mask", ZOO_INT64, 2, dims);
	struct zoo_value *types = zoo_input(z, "token_type_ids", ZOO_INT64, 2, dims);
	struct zoo_value *x = embeddings(z, b, ids, types);

	mask = extend_mask(z, mask);
	for (int i = 0; i < b->layers; i++) {
		zoo_push(z, "encoder.layer.%d", i);
		x = encoder_layer(z, b, x, mask);
		zoo_pop(z);
	}
	zoo_output(z, pooler(z, b, x), "pooler_output");
	zoo_output(z, x, "last_hidden_state");
}

void build_bert_6x384(struct zoo *z)
{
	build_bert(z, &(const struct bert){ .layers = 6, .hidden = 384, .heads = 12,
					    .ffn = 1536, .tokens = 128, .vocab = 30522,
					    .positions = 512 });
}

void build_tiny_bert(struct zoo *z)
{
	build_bert(z, &(const struct bert){ .layers = 2, .hidden = 32, .heads = 4, .ffn = 64,
					    .tokens = 16, .vocab = 100, .positions = 16 });
}
