//! seccomp: the system calls that the miner keeps. A list of what is allowed; all else fails with "not permitted".

use super::filter::{ARCHITECTURE, When, assemble};
use nix::libc::{self, c_long};

/// Installs the filter for this thread and all that it starts.
pub(super) fn restrict() -> Result<String, String> {
    let architecture = ARCHITECTURE.ok_or("no filter for this architecture")?;
    let program = assemble(architecture, CALLS);
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())?;
    Ok(format!("{} system calls are left", CALLS.len()))
}

/// Threads, but no processes.
const THREAD: When = When::ArgumentIn {
    argument: 0,
    mask: libc::CLONE_THREAD as u32,
    values: &[libc::CLONE_THREAD as u32],
};

/// Sockets of the internet and of this machine.
const FAMILIES: When = When::ArgumentIn {
    argument: 0,
    mask: u32::MAX,
    values: &[
        libc::AF_UNIX as u32,
        libc::AF_INET as u32,
        libc::AF_INET6 as u32,
    ],
};

/// What serial lines, sockets and the standard library ask of devices. None of it types into a terminal or moves one.
const DEVICES: When = When::ArgumentIn {
    argument: 1,
    mask: u32::MAX,
    values: &[
        libc::TCGETS as u32,
        libc::TCSETS as u32,
        libc::TCSETSW as u32,
        libc::TCSETSF as u32,
        libc::TCGETS2 as u32,
        libc::TCSETS2 as u32,
        libc::TCSETSW2 as u32,
        libc::TCSETSF2 as u32,
        libc::TCFLSH as u32,
        libc::TCSBRK as u32,
        libc::TIOCOUTQ as u32,
        // TIOCSERGETLSR: whether the transmitter is empty.
        0x5459,
        libc::FIONREAD as u32,
        libc::TIOCEXCL as u32,
        libc::TIOCNXCL as u32,
        libc::TIOCMGET as u32,
        libc::TIOCMSET as u32,
        libc::TIOCGWINSZ as u32,
        libc::FIONBIO as u32,
        libc::FIOCLEX as u32,
        libc::FIONCLEX as u32,
    ],
};

/// A thread's name, and the label of the allocator's memory.
const NAMES: When = When::ArgumentIn {
    argument: 0,
    mask: u32::MAX,
    values: &[
        libc::PR_SET_NAME as u32,
        libc::PR_GET_NAME as u32,
        0x5356_4D41,
    ],
};

/// Every call that is allowed.
pub(super) const CALLS: &[(c_long, When)] = &{
    use When::{Always, Unknown};
    [
        // Bytes in and out.
        (libc::SYS_read, Always),
        (libc::SYS_write, Always),
        (libc::SYS_readv, Always),
        (libc::SYS_writev, Always),
        (libc::SYS_pread64, Always),
        (libc::SYS_pwrite64, Always),
        (libc::SYS_preadv, Always),
        (libc::SYS_pwritev, Always),
        (libc::SYS_close, Always),
        (libc::SYS_dup, Always),
        (libc::SYS_dup3, Always),
        (libc::SYS_pipe2, Always),
        (libc::SYS_ioctl, DEVICES),
        (libc::SYS_sendfile, Always),
        // Files, as far as Landlock lets them be opened.
        (libc::SYS_openat, Always),
        (libc::SYS_openat2, Unknown),
        (libc::SYS_statx, Always),
        (libc::SYS_fstat, Always),
        (libc::SYS_faccessat, Always),
        (libc::SYS_faccessat2, Always),
        (libc::SYS_readlinkat, Always),
        (libc::SYS_getdents64, Always),
        (libc::SYS_getcwd, Always),
        (libc::SYS_lseek, Always),
        #[cfg(not(target_arch = "arm"))]
        (libc::SYS_statfs, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS_statfs64, Always),
        (libc::SYS_ftruncate, Always),
        (libc::SYS_fsync, Always),
        (libc::SYS_fdatasync, Always),
        (libc::SYS_flock, Always),
        (libc::SYS_mkdirat, Always),
        (libc::SYS_unlinkat, Always),
        (libc::SYS_renameat, Always),
        (libc::SYS_renameat2, Always),
        (libc::SYS_fchmod, Always),
        (libc::SYS_fchmodat, Always),
        (libc::SYS_umask, Always),
        (libc::SYS_utimensat, Always),
        // Waiting.
        (libc::SYS_epoll_create1, Always),
        (libc::SYS_epoll_ctl, Always),
        (libc::SYS_epoll_pwait, Always),
        (libc::SYS_eventfd2, Always),
        (libc::SYS_timerfd_create, Always),
        (libc::SYS_timerfd_settime, Always),
        (libc::SYS_ppoll, Always),
        (libc::SYS_pselect6, Always),
        (libc::SYS_futex, Always),
        (libc::SYS_futex_waitv, Always),
        (libc::SYS_nanosleep, Always),
        (libc::SYS_clock_nanosleep, Always),
        (libc::SYS_clock_gettime, Always),
        (libc::SYS_clock_getres, Always),
        (libc::SYS_gettimeofday, Always),
        (libc::SYS_sched_yield, Always),
        (libc::SYS_restart_syscall, Always),
        // The network.
        (libc::SYS_socket, FAMILIES),
        (libc::SYS_socketpair, FAMILIES),
        (libc::SYS_connect, Always),
        (libc::SYS_bind, Always),
        (libc::SYS_listen, Always),
        (libc::SYS_accept4, Always),
        (libc::SYS_accept, Always),
        (libc::SYS_shutdown, Always),
        (libc::SYS_getsockname, Always),
        (libc::SYS_getpeername, Always),
        (libc::SYS_getsockopt, Always),
        (libc::SYS_setsockopt, Always),
        (libc::SYS_sendto, Always),
        (libc::SYS_recvfrom, Always),
        (libc::SYS_sendmsg, Always),
        (libc::SYS_recvmsg, Always),
        (libc::SYS_sendmmsg, Always),
        (libc::SYS_recvmmsg, Always),
        // Memory.
        (libc::SYS_munmap, Always),
        (libc::SYS_mprotect, Always),
        (libc::SYS_mremap, Always),
        (libc::SYS_madvise, Always),
        (libc::SYS_brk, Always),
        (libc::SYS_membarrier, Always),
        // Threads and signals of this process.
        (libc::SYS_clone, THREAD),
        (libc::SYS_clone3, Unknown),
        (libc::SYS_set_robust_list, Always),
        (libc::SYS_set_tid_address, Always),
        // musl makes no use of it, and has no name for it.
        #[cfg(not(target_env = "musl"))]
        (libc::SYS_rseq, Always),
        (libc::SYS_prctl, NAMES),
        (libc::SYS_rt_sigaction, Always),
        (libc::SYS_rt_sigprocmask, Always),
        (libc::SYS_rt_sigreturn, Always),
        (libc::SYS_sigaltstack, Always),
        (libc::SYS_tgkill, Always),
        (libc::SYS_gettid, Always),
        (libc::SYS_getpid, Always),
        (libc::SYS_getppid, Always),
        (libc::SYS_getuid, Always),
        (libc::SYS_geteuid, Always),
        (libc::SYS_getgid, Always),
        (libc::SYS_getegid, Always),
        (libc::SYS_sched_getaffinity, Always),
        (libc::SYS_getrusage, Always),
        (libc::SYS_prlimit64, Always),
        (libc::SYS_sysinfo, Always),
        (libc::SYS_uname, Always),
        (libc::SYS_getrandom, Always),
        (libc::SYS_exit, Always),
        (libc::SYS_exit_group, Always),
        // Names that the architectures have for the same things.
        #[cfg(not(target_arch = "arm"))]
        (libc::SYS_mmap, Always),
        #[cfg(not(target_arch = "arm"))]
        (libc::SYS_fcntl, Always),
        #[cfg(not(target_arch = "arm"))]
        (libc::SYS_newfstatat, Always),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_arch_prctl, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_open, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_stat, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_lstat, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_access, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_readlink, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_unlink, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_rename, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_mkdir, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_rmdir, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_chmod, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_poll, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_epoll_wait, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_dup2, Always),
        #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
        (libc::SYS_pipe, Always),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_time, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS_mmap2, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS_fcntl64, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS_fstat64, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS_stat64, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS_lstat64, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS_fstatat64, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS__llseek, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS_ftruncate64, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS_send, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS_recv, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS_ugetrlimit, Always),
        #[cfg(target_arch = "arm")]
        (libc::SYS__newselect, Always),
        // 64-bit times of 32-bit ARM; the libc crate has no names for them yet.
        #[cfg(target_arch = "arm")]
        (403, Always),
        #[cfg(target_arch = "arm")]
        (406, Always),
        #[cfg(target_arch = "arm")]
        (407, Always),
        #[cfg(target_arch = "arm")]
        (411, Always),
        #[cfg(target_arch = "arm")]
        (412, Always),
        #[cfg(target_arch = "arm")]
        (413, Always),
        #[cfg(target_arch = "arm")]
        (414, Always),
        #[cfg(target_arch = "arm")]
        (417, Always),
        #[cfg(target_arch = "arm")]
        (422, Always),
        // set_tls, which the kernel keeps apart on ARM.
        #[cfg(target_arch = "arm")]
        (0x000F_0005, Always),
    ]
};
