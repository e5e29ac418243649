/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/usdt.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROVIDER       "riskgate"
#define NOTE_OWNER     "stapsdt"
#define NOTE_TYPE      3
#define NOTE_ADDRESSES 3 /* of the nop, of .stapsdt.base when it was linked, of the semaphore */

/* The first section of that name. */
static Elf_Scn *find_section(Elf *elf, const char *name, GElf_Shdr *header)
{
	size_t names;
	Elf_Scn *section = NULL;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		const char *found;

		if (!gelf_getshdr(section, header))
			continue;
		found = elf_strptr(elf, names, header->sh_name);
		if (found && !strcmp(found, name))
			return section;
	}
	return NULL;
}

/* Where the byte that is loaded at `address` lies in the file; 0: in no segment. */
static uint64_t file_offset(Elf *elf, uint64_t address)
{
	size_t count;

	if (elf_getphdrnum(elf, &count))
		return 0;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr segment;

		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_LOAD &&
		    address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
			return address - segment.p_vaddr + segment.p_offset;
	}
	return 0;
}

/* Three addresses, then provider, name and arguments, each a text with its NUL. Returns whether it is
 * the point wanted, and then fills *site. */
static bool read_note(Elf *elf, const char *at, size_t bytes, const char *point,
		      struct rg_usdt_site *site)
{
	const char *provider, *name, *arguments, *end = at + bytes;
	uint64_t addresses[NOTE_ADDRESSES];
	GElf_Shdr base = {0};

	if (bytes <= sizeof(addresses) || at[bytes - 1])
		return false;
	memcpy(addresses, at, sizeof(addresses));
	provider = at + sizeof(addresses);
	name = provider + strlen(provider) + 1;
	arguments = name < end ? name + strlen(name) + 1 : end;
	if (arguments >= end || strcmp(provider, PROVIDER) != 0 || strcmp(name, point) != 0)
		return false;
	/* a prelinked file was moved since: the base says how far */
	if (find_section(elf, ".stapsdt.base", &base)) {
		addresses[0] += base.sh_addr - addresses[1];
		addresses[2] += addresses[2] ? base.sh_addr - addresses[1] : 0;
	}
	site->offset = file_offset(elf, addresses[0]);
	site->semaphore_offset = addresses[2] ? file_offset(elf, addresses[2]) : 0;
	snprintf(site->arguments, sizeof(site->arguments), "%s", arguments);
	return true;
}

static int find_in(Elf *elf, const char *program, const char *point, struct rg_usdt_site *site,
		   struct rg_error *err)
{
	GElf_Shdr header;
	Elf_Scn *section = find_section(elf, ".note.stapsdt", &header);
	Elf_Data *data = section ? elf_getdata(section, NULL) : NULL;
	size_t next, name_at, text_at, at = 0;
	GElf_Nhdr note;

	while (data && (next = gelf_getnote(data, at, &note, &name_at, &text_at)) > 0) {
		const char *bytes = data->d_buf;

		if (note.n_type == NOTE_TYPE && note.n_namesz == sizeof(NOTE_OWNER) &&
		    !memcmp(bytes + name_at, NOTE_OWNER, sizeof(NOTE_OWNER)) &&
		    read_note(elf, bytes + text_at, note.n_descsz, point, site)) {
			if (site->offset)
				return RG_OK;
			return rg_error_set(err, RG_ECORRUPT,
					    "%s: the probe point %s:%s lies in no segment", program,
					    PROVIDER, point);
		}
		at = next;
	}
	return rg_error_set(err, RG_ENOENT, "%s has no probe point %s:%s: it is of another version",
			    program, PROVIDER, point);
}

int rg_usdt_find(const char *program, const char *point, struct rg_usdt_site *site,
		 struct rg_error *err)
{
	int fd = open(program, O_RDONLY | O_CLOEXEC), rc;
	Elf *elf;

	memset(site, 0, sizeof(*site));
	if (fd < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "%s", program);
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || gelf_getclass(elf) != ELFCLASS64)
		rc = rg_error_set(err, RG_ECORRUPT, "%s is no 64-bit ELF file", program);
	else
		rc = find_in(elf, program, point, site, err);
	elf_end(elf);
	close(fd);
	return rc;
}
