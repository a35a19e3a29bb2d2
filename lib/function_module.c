/* SPDX-License-Identifier: BSD-3-Clause */
/* function_module.c - one loaded module: where its code lies, and what it is known by. */
#include "function_module.h"

#include <elf.h>
#include <string.h>
#include <sys/auxv.h>

const ElfW(Phdr) *module_segment(const struct dl_phdr_info *module, uintptr_t offset, ElfW(Word) flags)
{
	for (unsigned i = 0; i < module->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &module->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && (p->p_flags & flags) == flags && offset - p->p_vaddr < p->p_memsz)
			return p;
	}
	return NULL;
}

int module_is_vdso(const struct dl_phdr_info *module)
{
	uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);

	return vdso && module_segment(module, vdso - module->dlpi_addr, 0);
}

/* Notes need not be in what is loaded. */
static size_t find_build_id(const struct dl_phdr_info *module, const ElfW(Phdr) *notes, const uint8_t **ret)
{
	const ElfW(Phdr) *segment = module_segment(module, notes->p_vaddr, PF_R);
	const uint8_t *note = (const uint8_t *)(module->dlpi_addr + notes->p_vaddr);
	size_t left = notes->p_memsz, align = notes->p_align == 8 ? 8 : 4;

	if (!segment || left > segment->p_vaddr + segment->p_memsz - notes->p_vaddr)
		return 0;
	while (left >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *head = (const ElfW(Nhdr) *)note;
		size_t content = (sizeof *head + head->n_namesz + align - 1) & ~(align - 1);
		size_t next = (content + head->n_descsz + align - 1) & ~(align - 1);

		if (content + head->n_descsz > left)
			return 0;
		if (head->n_type == NT_GNU_BUILD_ID && head->n_namesz == 4 && !memcmp(head + 1, "GNU", 4)) {
			*ret = note + content;
			return head->n_descsz;
		}
		if (next >= left)
			return 0;
		note += next;
		left -= next;
	}
	return 0;
}

/* A build-id of zeros is none: some builds fill it in later, or never. */
int module_build_id(const struct dl_phdr_info *module, uint8_t *hash)
{
	static const uint8_t none[FUNCTION_HASH];

	const uint8_t *id = NULL;
	size_t n = 0;

	for (unsigned i = 0; i < module->dlpi_phnum && !n; i++)
		if (module->dlpi_phdr[i].p_type == PT_NOTE)
			n = find_build_id(module, &module->dlpi_phdr[i], &id);
	memset(hash, 0, FUNCTION_HASH);
	if (n)
		memcpy(hash, id, n < FUNCTION_HASH ? n : FUNCTION_HASH);
	return memcmp(hash, none, FUNCTION_HASH) != 0;
}

/* What is writable is not the same twice, and what cannot be read cannot be hashed. */
static int is_hashed(const ElfW(Phdr) *p)
{
	return p->p_type == PT_LOAD && (p->p_flags & (PF_R | PF_W)) == PF_R;
}

uint32_t module_fixed_size(const struct dl_phdr_info *module)
{
	uint32_t size = 0, code = 0;

	for (unsigned i = 0; i < module->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &module->dlpi_phdr[i];

		size += is_hashed(p) ? (uint32_t)p->p_filesz : 0;
		code |= is_hashed(p) ? p->p_flags & PF_X : 0;
	}
	return code ? size : 0;
}

/* Each step can be undone, knowing the word, so that what differs in one word never ends in the same lanes. */
static void mix(uint64_t lanes[2], uint64_t word)
{
	lanes[0] = (lanes[0] ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	lanes[0] ^= lanes[0] >> 32;
	lanes[1] = (lanes[1] + word) * UINT64_C(0xd6e8feb86659fd93);
	lanes[1] ^= lanes[1] >> 29;
}

/* An address sanitizer would complain: there are gaps between a program's constants that it holds forbidden. */
__attribute__((no_sanitize_address)) static void mix_bytes(uint64_t lanes[2], uintptr_t start, size_t size)
{
	typedef uint64_t __attribute__((aligned(1), may_alias)) any_word;
	const any_word *words = (const any_word *)start;
	const uint8_t *rest = (const uint8_t *)(words + size / sizeof *words);
	uint64_t last = 0;

	for (size_t i = 0; i < size / sizeof *words; i++)
		mix(lanes, words[i]);
	for (size_t i = 0; i < size % sizeof *words; i++)
		last = last << 8 | rest[i];
	mix(lanes, last);
}

static int hash_fixed(const struct dl_phdr_info *module, uint8_t *hash)
{
	uint64_t lanes[2] = { 1, 2 };
	uint32_t total = module_fixed_size(module);

	for (unsigned i = 0; i < module->dlpi_phnum && total; i++) {
		const ElfW(Phdr) *p = &module->dlpi_phdr[i];

		if (p->p_type != PT_LOAD)
			continue;
		mix(lanes, p->p_vaddr);
		mix(lanes, p->p_filesz);
		mix(lanes, p->p_memsz);
		if (is_hashed(p))
			mix_bytes(lanes, module->dlpi_addr + p->p_vaddr, p->p_filesz);
	}
	_Static_assert(sizeof lanes == FUNCTION_HASH_MIXED, "the lanes fill the hash up to the size");
	memcpy(hash, lanes, sizeof lanes);
	memcpy(hash + FUNCTION_HASH_MIXED, &total, sizeof total);
	return total != 0;
}

int module_hash(const struct dl_phdr_info *module, enum function_hash_kind wanted, struct function_id *ret)
{
	ret->hash_kind = FUNCTION_BUILD_ID;
	if (wanted == FUNCTION_BUILD_ID && module_build_id(module, ret->hash))
		return 1;
	ret->hash_kind = FUNCTION_CODE;
	if (hash_fixed(module, ret->hash))
		return 1;
	ret->hash_kind = 0;
	return 0;
}
