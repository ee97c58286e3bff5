// SPDX-License-Identifier: MIT
/* The table of architectures; see models.h. */
#include "models.h"

#include <string.h>

const struct zoo_entry zoo_models[] = {
	{ "resnet50", "ResNet-50 v1.5, 224x224", build_resnet50 },
	{ "mobilenet_v2", "MobileNet v2, 224x224", build_mobilenet_v2 },
	{ "squeezenet1_1", "SqueezeNet 1.1, 224x224", build_squeezenet1_1 },
	{ "efficientnet_b0", "EfficientNet-B0, 224x224", build_efficientnet_b0 },
	{ "bert_6x384", "BERT encoder, 6 layers, hidden 384, 128 tokens", build_bert_6x384 },
	{ "tiny_bert", "BERT encoder, 2 layers, hidden 32, 16 tokens", build_tiny_bert },
	{ "tiny_cnn", "a few convolutions of every kind, 32x32", build_tiny_cnn },
	{ "tiny_mlp", "two fully connected layers and a softmax", build_tiny_mlp },
	{ "lstm", "bidirectional LSTM over 32 frames", build_lstm },
	{ "gru", "streaming GRU, its state an input and an output", build_gru },
	{ "null", "one Identity of one float: what a request costs by itself", build_null },
};

const size_t zoo_n_models = sizeof(zoo_models) / sizeof(zoo_models[0]);

const struct zoo_entry *zoo_find(const char *name)
{
	for (size_t i = 0; i < zoo_n_models; i++)
		if (!strcmp(zoo_models[i].name, name))
			return &zoo_models[i];
	return NULL;
}
