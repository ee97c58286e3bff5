// SPDX-License-Identifier: MIT
/*
 * Operators that are known and refused, with the reason. One that stands
 * nowhere is refused by the importer as unknown.
 *
 * No state of its own.
 */
#include <string.h>

#include "agent/onnx/op.h"

struct reason {
	const char *name, *why;
};

#define DYNAMIC		"the result's shape hangs on values, which shapes bound at load do not allow"
#define SEQUENCE	"sequences and optionals are not supported"
#define STRINGS		"strings are not supported"
#define RANDOM		"random numbers are not supported"
#define TRAINING	"training is not supported"
#define CONTROL		"control flow is not supported"
#define NO_KERNEL	"is not supported by any backend"

static const struct reason reasons[] = {
	{ "NonMaxSuppression", DYNAMIC },
	{ "Unique", DYNAMIC },
	{ "If", CONTROL },
	{ "Loop", CONTROL },
	{ "Scan", CONTROL },
	{ "SequenceAt", SEQUENCE },
	{ "SequenceConstruct", SEQUENCE },
	{ "SequenceEmpty", SEQUENCE },
	{ "SequenceErase", SEQUENCE },
	{ "SequenceInsert", SEQUENCE },
	{ "SequenceLength", SEQUENCE },
	{ "SequenceMap", SEQUENCE },
	{ "SplitToSequence", SEQUENCE },
	{ "ConcatFromSequence", SEQUENCE },
	{ "Optional", SEQUENCE },
	{ "OptionalGetElement", SEQUENCE },
	{ "OptionalHasElement", SEQUENCE },
	{ "StringNormalizer", STRINGS },
	{ "StringConcat", STRINGS },
	{ "StringSplit", STRINGS },
	{ "RegexFullMatch", STRINGS },
	{ "TfIdfVectorizer", STRINGS },
	{ "Bernoulli", RANDOM },
	{ "Multinomial", RANDOM },
	{ "RandomNormal", RANDOM },
	{ "RandomNormalLike", RANDOM },
	{ "RandomUniform", RANDOM },
	{ "RandomUniformLike", RANDOM },
	{ "NegativeLogLikelihoodLoss", TRAINING },
	{ "SoftmaxCrossEntropyLoss", TRAINING },
	{ "GridSample", NO_KERNEL },
	{ "AffineGrid", NO_KERNEL },
	{ "RoiAlign", NO_KERNEL },
	{ "MaxRoiPool", NO_KERNEL },
	{ "DeformConv", NO_KERNEL },
	{ "Det", NO_KERNEL },
	{ "DFT", NO_KERNEL },
	{ "STFT", NO_KERNEL },
	{ "MelWeightMatrix", NO_KERNEL },
	{ "ImageDecoder", NO_KERNEL },
	{ "Col2Im", NO_KERNEL },
	{ "CenterCropPad", NO_KERNEL },
	{ "ConvInteger", NO_KERNEL },
	{ "QLinearConv", NO_KERNEL },
	{ "QLinearMatMul", NO_KERNEL },
};

static void emit_refused(struct emit *e)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (!strcmp(reasons[i].name, e->b->op_type))
			emit_fail(e, -EOPNOTSUPP, "%s", reasons[i].why);
	emit_fail(e, -EOPNOTSUPP, "is not supported");
}

#define MANY		UINT32_MAX
#define REFUSED(name)	{ name, 1, EMIT_OPSET_MAX, 0, MANY, MANY, emit_refused }

const struct emit_op op_refused[] = {
	REFUSED("NonMaxSuppression"),
	REFUSED("Unique"),
	REFUSED("If"),
	REFUSED("Loop"),
	REFUSED("Scan"),
	REFUSED("SequenceAt"),
	REFUSED("SequenceConstruct"),
	REFUSED("SequenceEmpty"),
	REFUSED("SequenceErase"),
	REFUSED("SequenceInsert"),
	REFUSED("SequenceLength"),
	REFUSED("SequenceMap"),
	REFUSED("SplitToSequence"),
	REFUSED("ConcatFromSequence"),
	REFUSED("Optional"),
	REFUSED("OptionalGetElement"),
	REFUSED("OptionalHasElement"),
	REFUSED("StringNormalizer"),
	REFUSED("StringConcat"),
	REFUSED("StringSplit"),
	REFUSED("RegexFullMatch"),
	REFUSED("TfIdfVectorizer"),
	REFUSED("Bernoulli"),
	REFUSED("Multinomial"),
	REFUSED("RandomNormal"),
	REFUSED("RandomNormalLike"),
	REFUSED("RandomUniform"),
	REFUSED("RandomUniformLike"),
	REFUSED("NegativeLogLikelihoodLoss"),
	REFUSED("SoftmaxCrossEntropyLoss"),
	REFUSED("GridSample"),
	REFUSED("AffineGrid"),
	REFUSED("RoiAlign"),
	REFUSED("MaxRoiPool"),
	REFUSED("DeformConv"),
	REFUSED("Det"),
	REFUSED("DFT"),
	REFUSED("STFT"),
	REFUSED("MelWeightMatrix"),
	REFUSED("ImageDecoder"),
	REFUSED("Col2Im"),
	REFUSED("CenterCropPad"),
	REFUSED("ConvInteger"),
	REFUSED("QLinearConv"),
	REFUSED("QLinearMatMul"),
	{ NULL }
};
