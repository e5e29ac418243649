/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/builtin/regex_re2.h"

#include <re2/re2.h>

#include <cstdio>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

struct rg_regex {
	std::string pattern;
	RE2 re;
	rg_regex(const std::string &as_written, const std::string &translated,
		 const RE2::Options &options)
	    : pattern(as_written), re(translated, options)
	{
	}
};

namespace
{

struct cache {
	std::list<std::unique_ptr<rg_regex>> recent; /* the last one used in front */
	std::unordered_map<std::string, std::list<std::unique_ptr<rg_regex>>::iterator> by_pattern;
};

thread_local cache patterns;

/* (?<name>x) is (?P<name>x) in this version of RE2. Escapes and character classes are passed
 * over. */
std::string translate(const std::string &pattern)
{
	std::string out;
	bool in_class = false;

	for (size_t i = 0; i < pattern.size(); i++) {
		char c = pattern[i];

		out += c;
		if (c == '\\' && i + 1 < pattern.size()) {
			out += pattern[++i];
		} else if (in_class) {
			in_class = c != ']';
		} else if (c == '[') {
			in_class = true;
			if (i + 1 < pattern.size() && pattern[i + 1] == '^')
				out += pattern[++i];
			if (i + 1 < pattern.size() && pattern[i + 1] == ']')
				out += pattern[++i];
		} else if (c == '(' && pattern.compare(i, 3, "(?<") == 0 &&
			   i + 3 < pattern.size() && pattern[i + 3] != '=' &&
			   pattern[i + 3] != '!') {
			out += "?P";
			i++;
		}
	}
	return out;
}

} // namespace

struct rg_regex *rg_regex_compile(const char *pattern, size_t bytes, char *error,
				  size_t error_bytes)
{
	std::string key(pattern, bytes);
	auto found = patterns.by_pattern.find(key);

	if (found != patterns.by_pattern.end()) {
		patterns.recent.splice(patterns.recent.begin(), patterns.recent, found->second);
		return found->second->get();
	}
	RE2::Options options;
	options.set_log_errors(false);
	options.set_max_mem(RG_REGEX_MEMORY_BYTES);
	auto regex = std::make_unique<rg_regex>(key, translate(key), options);
	if (!regex->re.ok()) {
		snprintf(error, error_bytes, "error parsing regexp: %s", regex->re.error().c_str());
		return nullptr;
	}
	if (patterns.recent.size() >= RG_REGEX_CACHE_MAX) {
		patterns.by_pattern.erase(patterns.recent.back()->pattern);
		patterns.recent.pop_back();
	}
	patterns.recent.push_front(std::move(regex));
	patterns.by_pattern[key] = patterns.recent.begin();
	return patterns.recent.front().get();
}

int rg_regex_group_count(const struct rg_regex *regex)
{
	return regex->re.NumberOfCapturingGroups();
}

int rg_regex_group_by_name(const struct rg_regex *regex, const char *name, size_t bytes)
{
	const auto &names = regex->re.NamedCapturingGroups();
	auto found = names.find(std::string(name, bytes));

	return found == names.end() ? -1 : found->second;
}

bool rg_regex_match(const struct rg_regex *regex, const char *text, size_t bytes, size_t from,
		    struct rg_regex_span *spans, int count)
{
	re2::StringPiece whole(text, bytes), groups[RG_REGEX_GROUPS_MAX];

	if (count > RG_REGEX_GROUPS_MAX)
		count = RG_REGEX_GROUPS_MAX;
	if (!regex->re.Match(whole, from, bytes, RE2::UNANCHORED, groups, count))
		return false;
	for (int i = 0; i < count; i++) {
		spans[i].start = groups[i].data() ? groups[i].data() - text : -1;
		spans[i].end = groups[i].data()
				       ? spans[i].start + static_cast<int64_t>(groups[i].size())
				       : -1;
	}
	return true;
}
