"""Seccomp: the system calls that a sandboxed program is refused on Linux, as the filter that bubblewrap installs.

Namespaces leave three things open: processes (root is exempt from RLIMIT_NPROC, so a fork bomb would run until the
deadline), sockets of kinds that know no network namespace (vsock reaches a virtual machine's host), and memory that no
limit of the address space counts. What is refused fails with an ordinary error, so that the program can go on.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

# Classic BPF and the layout of struct seccomp_data: linux/filter.h, linux/seccomp.h, linux/audit.h.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000  # the second set of numbers on x86-64
# The same on every architecture: clone3 (libc then falls back to clone, whose flags a filter can see), io_uring,
# memfd_secret.
_CLONE3, _NEW = 435, (425, 447)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    """The numbers of system calls of one architecture (asm/unistd.h)."""

    audit: int
    clone: int
    refused: tuple[int, ...]


_NUMBERS = {
    # fork, vfork, socket, ptrace, shmget, memfd_create, unshare, setns, mount, keyctl, add_key, bpf, perf_event_open,
    # userfaultfd, process_vm_readv, process_vm_writev
    "x86_64": _Numbers(
        audit=0xC000003E,
        clone=56,
        refused=(57, 58, 41, 101, 29, 319, 272, 308, 165, 250, 248, 321, 298, 323, 310, 311),
    ),
    # socket, ptrace, shmget, memfd_create, unshare, setns, mount, keyctl, add_key, bpf, perf_event_open, userfaultfd,
    # process_vm_readv, process_vm_writev
    "aarch64": _Numbers(
        audit=0xC00000B7, clone=220, refused=(198, 117, 194, 279, 97, 268, 40, 219, 217, 280, 241, 282, 270, 271)
    ),
}


def program_filter(machine: str | None = None) -> bytes | None:
    """The filter for this processor as bytes; None when its system calls are not known here."""
    numbers = _NUMBERS.get(machine or platform.machine())
    if numbers is None:
        return None
    steps = [(_LOAD, 0, 0, _ARCHITECTURE_AT), (_EQUAL, 1, 0, numbers.audit), (_RETURN, 0, 0, _KILL)]
    steps += [(_LOAD, 0, 0, _NUMBER_AT), (_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _REFUSE | errno.EPERM)]
    steps += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _REFUSE | errno.ENOSYS)]
    for number in (*numbers.refused, *_NEW):
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE | errno.EPERM)]
    steps += [(_EQUAL, 1, 0, numbers.clone), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, _FIRST_ARGUMENT_AT)]
    steps += [(_ANY_BIT, 0, 1, _CLONE_THREAD), (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE | errno.EPERM)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
