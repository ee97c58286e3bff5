/* SPDX-License-Identifier: MIT */
/* A view of a transpose as a transpose of a view. */
#ifndef BRAID_AGENT_PROGRAM_VIEW_TRANSPOSE_H
#define BRAID_AGENT_PROGRAM_VIEW_TRANSPOSE_H

struct build;
struct prog_op;

/**
 * view_transpose() - swap a view with the transpose in front of it, where that works
 * @b: the builder
 * @view: a BUILD_VIEW whose input @tr writes
 * @tr: a TRANSPOSE
 *
 * Works where the view splits and joins axes without joining any that the
 * transpose had torn apart. Axes that it had only put in another order among
 * themselves are put in that order by a smaller transpose first (the shuffle
 * of channels, which then moves within a row).
 */
void view_transpose(struct build *b, struct prog_op *view, const struct prog_op *tr);

#endif
