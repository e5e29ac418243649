/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/plan_rules.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "policy/plan/plan.h"

/* A digest in the making. */
struct walk {
	const struct rg_plan *plan;
	EVP_MD_CTX *context;
	uint32_t *ordinals; /* of locals, from 1; 0: not met yet */
	uint32_t ordinal_count, next_ordinal;
	bool failed;
};

static void put(struct walk *walk, const void *bytes, size_t count)
{
	walk->failed |= EVP_DigestUpdate(walk->context, bytes, count) != 1;
}

static void put_number(struct walk *walk, uint64_t number)
{
	put(walk, &number, sizeof(number));
}

static void put_text(struct walk *walk, const struct rg_plan_text *text)
{
	put_number(walk, text->bytes);
	put(walk, text->text, text->bytes);
}

static void put_local(struct walk *walk, uint32_t local)
{
	if (local >= walk->ordinal_count) {
		put_number(walk, UINT64_MAX);
		return;
	}
	if (!walk->ordinals[local])
		walk->ordinals[local] = ++walk->next_ordinal;
	put_number(walk, walk->ordinals[local]);
}

static void put_operand(struct walk *walk, const struct rg_plan_operand *operand)
{
	put_number(walk, operand->kind);
	if (operand->kind == RG_PLAN_LOCAL)
		put_local(walk, operand->value);
	else if (operand->kind == RG_PLAN_STRING && operand->value < walk->plan->string_count)
		put_text(walk, &walk->plan->strings[operand->value]);
	else
		put_number(walk, operand->value);
}

static void put_operands(struct walk *walk, const struct rg_plan_operand *operands, uint32_t count)
{
	put_number(walk, count);
	for (uint32_t i = 0; i < count; i++)
		put_operand(walk, &operands[i]);
}

static void put_blocks(struct walk *walk, const struct rg_plan_block *blocks, uint32_t count);

static void put_statement(struct walk *walk, const struct rg_plan_statement *statement)
{
	put_number(walk, statement->type);
	put_operand(walk, &statement->a);
	put_operand(walk, &statement->b);
	put_local(walk, statement->target);
	put_local(walk, statement->key);
	put_local(walk, statement->value_local);
	if (statement->type == RG_STATEMENT_MAKE_NUMBER_REF)
		put_text(walk, &walk->plan->strings[statement->number]);
	else
		put_number(walk, (uint64_t)statement->number);
	put_text(walk, &statement->name);
	put_operands(walk, statement->args, statement->arg_count);
	put_operands(walk, statement->path, statement->path_count);
	put_blocks(walk, statement->blocks, statement->block_count);
}

static void put_blocks(struct walk *walk, const struct rg_plan_block *blocks, uint32_t count)
{
	put_number(walk, count);
	for (uint32_t i = 0; i < count; i++) {
		put_number(walk, blocks[i].count);
		for (uint32_t j = 0; j < blocks[i].count; j++)
			put_statement(walk, &blocks[i].statements[j]);
	}
}

static bool digest_function(struct walk *walk, const struct rg_plan_function *function,
			    unsigned char digest[static 32])
{
	unsigned bytes = 0;

	walk->ordinals = calloc(function->frame_size + 1ul, sizeof(*walk->ordinals));
	walk->ordinal_count = function->frame_size;
	walk->next_ordinal = 0;
	walk->failed = !walk->ordinals || EVP_DigestInit_ex(walk->context, EVP_sha256(), NULL) != 1;
	if (!walk->failed) {
		for (uint32_t i = 0; i < function->param_count; i++)
			put_local(walk, function->params[i]);
		put_blocks(walk, function->blocks, function->block_count);
		put_local(walk, function->result);
		walk->failed |= EVP_DigestFinal_ex(walk->context, digest, &bytes) != 1;
	}
	free(walk->ordinals);
	return !walk->failed && bytes == 32;
}

/* "data" and the path behind the planner's own first element ("g0"); the bare name without a
 * path. */
static char *path_of(const struct rg_plan_function *function)
{
	size_t bytes = sizeof("data");
	char *path, *at;

	if (function->path_count < 2)
		return strndup(function->name.text, function->name.bytes);
	for (uint32_t i = 1; i < function->path_count; i++)
		bytes += 1 + function->path[i].bytes;
	path = malloc(bytes);
	at = path ? stpcpy(path, "data") : NULL;
	for (uint32_t i = 1; at && i < function->path_count; i++) {
		*at++ = '.';
		at = mempcpy(at, function->path[i].text, function->path[i].bytes);
	}
	if (at)
		*at = '\0';
	return path;
}

static int by_path(const void *a, const void *b)
{
	const struct rg_plan_rule *left = a, *right = b;
	int order = strcmp(left->path, right->path);

	return order ? order : memcmp(left->digest, right->digest, sizeof(left->digest));
}

int rg_plan_rules_read(const char *plan_json, size_t bytes, struct rg_plan_rules *rules,
		       struct rg_error *err)
{
	struct walk walk = {0};
	struct rg_plan *plan;
	int rc = rg_plan_load(plan_json, bytes, &plan, err);

	memset(rules, 0, sizeof(*rules));
	if (rc)
		return rc;
	walk.plan = plan;
	walk.context = EVP_MD_CTX_new();
	rules->rules = calloc(plan->function_count + 1ul, sizeof(*rules->rules));
	if (!walk.context || !rules->rules)
		rc = rg_error_set(err, RG_ENOMEM, "out of memory for the rules of a plan");
	for (uint32_t i = 0; !rc && i < plan->function_count; i++) {
		struct rg_plan_rule *rule = &rules->rules[rules->count];

		rule->path = path_of(&plan->functions[i]);
		if (!rule->path || !digest_function(&walk, &plan->functions[i], rule->digest))
			rc = rg_error_set(err, RG_ENOMEM, "out of memory for the rules of a plan");
		rules->count += rule->path != NULL;
	}
	EVP_MD_CTX_free(walk.context);
	rg_plan_free(plan);
	if (rc)
		rg_plan_rules_free(rules);
	else if (rules->count)
		qsort(rules->rules, rules->count, sizeof(*rules->rules), by_path);
	return rc;
}

void rg_plan_rules_free(struct rg_plan_rules *rules)
{
	for (uint32_t i = 0; i < rules->count; i++)
		free(rules->rules[i].path);
	free(rules->rules);
	memset(rules, 0, sizeof(*rules));
}
