/* SPDX-License-Identifier: Apache-2.0
 *
 * What keeper and dialer share. Both run code that isn't ours (a vendor's PKCS#11
 * module, the system's resolver), and whose needs nobody can list, so this is a
 * deny-list: whatever looks into or steers other processes, loads code into the
 * kernel, changes namespaces or mounts, or starts a program. Two answers: a call that
 * such code has no honest use for is a violation; one that it may try (a fork, a
 * signal) is refused.
 */
#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "table.h"

#define VIOLATION(call, reason)                                                                    \
    {                                                                                              \
        ON(call), .answer = KW_VIOLATE, .why = (reason)                                            \
    }
#define REFUSED(call, reason)                                                                      \
    {                                                                                              \
        ON(call), .answer = KW_REFUSE, .error = EPERM, .why = (reason)                             \
    }
#define THREAD_IN(flag)                                                                            \
    {                                                                                              \
        ON(clone), .answer = KW_VIOLATE,                                                           \
                   .limits = {{.op = KW_OP_BITS,                                                   \
                               .arg = 0,                                                           \
                               .mask = CLONE_THREAD | (flag),                                      \
                               .value = CLONE_THREAD | (flag),                                     \
                               .text = "a0 has CLONE_THREAD and " #flag}},                         \
                   .why = "a thread in another namespace"                                          \
    }

static const struct kw_rule programs[] = {
    VIOLATION(execve, "starts a program"),
    VIOLATION(execveat, "starts a program"),
    {ON(clone), .answer = KW_REFUSE, .error = EPERM, .limits = {BITS(0, CLONE_THREAD, 0)},
     .why = "fork(); threads are allowed"},
    {ON(clone3), .answer = KW_REFUSE, .error = ENOSYS,
     .why = "its flags are behind a pointer; libc falls back to clone()"},
    REFUSED(fork, "a copy of the process, secrets included"),
    REFUSED(vfork, "the same"),
    THREAD_IN(CLONE_NEWNS),
    THREAD_IN(CLONE_NEWCGROUP),
    THREAD_IN(CLONE_NEWUTS),
    THREAD_IN(CLONE_NEWIPC),
    THREAD_IN(CLONE_NEWUSER),
    THREAD_IN(CLONE_NEWPID),
    THREAD_IN(CLONE_NEWNET),
    VIOLATION(unshare, "namespaces"),
    VIOLATION(setns, "namespaces"),
    VIOLATION(personality, "turns address randomisation off"),
};

static const struct kw_rule others[] = {
    VIOLATION(ptrace, "reads and steers other processes"),
    VIOLATION(process_vm_readv, "reads other processes' memory"),
    VIOLATION(process_vm_writev, "writes other processes' memory"),
    VIOLATION(process_madvise, "other processes' memory"),
    VIOLATION(process_mrelease, "other processes' memory"),
    VIOLATION(kcmp, "looks into other processes"),
    VIOLATION(pidfd_getfd, "takes other processes' descriptors"),
    REFUSED(pidfd_open, "other processes"),
    REFUSED(pidfd_send_signal, "signals other processes"),
    REFUSED(rt_sigqueueinfo, "signals other processes"),
    REFUSED(rt_tgsigqueueinfo, "signals other processes"),
    REFUSED(tkill, "signals other processes"),
    {ON(kill), .answer = KW_REFUSE, .error = EPERM, .limits = {OTHER(0)},
     .why = "signals other processes"},
    {ON(tgkill), .answer = KW_REFUSE, .error = EPERM, .limits = {OTHER(0)},
     .why = "signals other processes; own threads are allowed"},
    {ON(fcntl), .answer = KW_REFUSE, .error = EPERM, .limits = {INT(1, F_SETOWN)},
     .why = "has the kernel signal other processes"},
    {ON(fcntl), .answer = KW_REFUSE, .error = EPERM, .limits = {INT(1, F_SETOWN_EX)},
     .why = "the same"},
    {ON(fcntl), .answer = KW_REFUSE, .error = EPERM, .limits = {INT(1, F_SETSIG)},
     .why = "the same, with any signal"},
    {ON(ioctl), .answer = KW_REFUSE, .error = EPERM, .limits = {INT(1, FIOSETOWN)},
     .why = "F_SETOWN by another name"},
    {ON(ioctl), .answer = KW_REFUSE, .error = EPERM, .limits = {INT(1, SIOCSPGRP)},
     .why = "F_SETOWN by another name"},
    {ON(prlimit64), .answer = KW_REFUSE, .error = EPERM, .limits = {NE(0, 0)},
     .why = "limits of other processes"},
};

static const struct kw_rule fences[] = {
    {ON(rt_sigaction), .answer = KW_REFUSE, .error = EPERM, .limits = {INT(0, SIGSYS), NE(1, 0)},
     .why = "the handler that reports violations stays"},
    {ON(prctl), .answer = KW_REFUSE, .error = EPERM, .limits = {INT(0, PR_SET_DUMPABLE)},
     .why = "stays closed to tracers and core dumps"},
    {ON(prctl), .answer = KW_REFUSE, .error = EPERM, .limits = {INT(0, PR_SET_MM)},
     .why = "rewrites its own memory map"},
};

static const struct kw_rule terminal[] = {
    {ON(ioctl), .answer = KW_REFUSE, .error = EPERM, .limits = {INT(1, TIOCSTI)},
     .why = "types into the user's terminal"},
    {ON(ioctl), .answer = KW_REFUSE, .error = EPERM, .limits = {INT(1, TIOCLINUX)},
     .why = "types into the user's console"},
    {ON(ioctl), .answer = KW_REFUSE, .error = EPERM, .limits = {INT(1, TIOCSETD)},
     .why = "loads line disciplines into the kernel"},
};

static const struct kw_rule kernel[] = {
    VIOLATION(bpf, "programs in the kernel"),
    VIOLATION(io_uring_setup, "calls that no filter sees"),
    VIOLATION(io_uring_enter, "calls that no filter sees"),
    VIOLATION(io_uring_register, "calls that no filter sees"),
    VIOLATION(userfaultfd, "makes kernel races winnable"),
    VIOLATION(perf_event_open, "looks into other processes and the kernel"),
    VIOLATION(keyctl, "kernel keyrings of the user"),
    VIOLATION(add_key, "kernel keyrings of the user"),
    VIOLATION(request_key, "kernel keyrings; starts a helper program"),
    VIOLATION(kexec_load, "another kernel"),
    VIOLATION(kexec_file_load, "another kernel"),
    VIOLATION(init_module, "code in the kernel"),
    VIOLATION(finit_module, "code in the kernel"),
    VIOLATION(delete_module, "code in the kernel"),
    VIOLATION(create_module, "code in the kernel"),
    VIOLATION(iopl, "hardware"),
    VIOLATION(ioperm, "hardware"),
    VIOLATION(modify_ldt, "segments"),
    VIOLATION(lookup_dcookie, "looks into the kernel"),
    VIOLATION(syslog, "the kernel's log"),
    VIOLATION(reboot, "the machine"),
    VIOLATION(swapon, "the machine"),
    VIOLATION(swapoff, "the machine"),
    VIOLATION(settimeofday, "the clock"),
    VIOLATION(clock_settime, "the clock"),
    VIOLATION(adjtimex, "the clock"),
    VIOLATION(clock_adjtime, "the clock"),
    VIOLATION(sethostname, "the machine"),
    VIOLATION(setdomainname, "the machine"),
    VIOLATION(acct, "the machine"),
    VIOLATION(vhangup, "terminals"),
    VIOLATION(nfsservctl, "the machine"),
};

static const struct kw_rule mounts[] = {
    VIOLATION(mount, "mounts"),
    VIOLATION(umount2, "mounts"),
    VIOLATION(pivot_root, "mounts"),
    VIOLATION(chroot, "mounts"),
    VIOLATION(open_tree, "mounts"),
    VIOLATION(move_mount, "mounts"),
    VIOLATION(fsopen, "mounts"),
    VIOLATION(fsconfig, "mounts"),
    VIOLATION(fsmount, "mounts"),
    VIOLATION(fspick, "mounts"),
    VIOLATION(mount_setattr, "mounts"),
    VIOLATION(open_by_handle_at, "files by number, around every path rule"),
    VIOLATION(quotactl, "file systems"),
    VIOLATION(quotactl_fd, "file systems"),
    VIOLATION(fanotify_init, "watches other processes' files"),
    VIOLATION(mknod, "devices"),
    VIOLATION(mknodat, "devices"),
};

const struct kw_group kw_group_programs = {RULES(programs),
                                           .title = "programs, processes, namespaces"};
const struct kw_group kw_group_others = {RULES(others), .title = "other processes"};
const struct kw_group kw_group_fences = {RULES(fences), .title = "the fences themselves"};
const struct kw_group kw_group_terminal = {RULES(terminal), .title = "the terminal of the user"};
const struct kw_group kw_group_kernel = {RULES(kernel), .title = "the kernel and the machine"};
const struct kw_group kw_group_mounts = {
    RULES(mounts), .title = "mounts, and files that are reached around the path rules"};
