//! A seccomp filter, assembled for the architecture that the program is built for.
//!
//! The compiler of `seccompiler` knows no 32-bit ARM, which half of the control boards are; a filter is a short list of
//! instructions, so it is put together here and only installed by that crate.

use nix::libc;
use seccompiler::sock_filter;

/// Number of the architecture, as `linux/audit.h` gives it; none where nobody looked it up.
pub(super) const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xC000_003E)
} else if cfg!(target_arch = "aarch64") {
    Some(0xC000_00B7)
} else if cfg!(target_arch = "arm") {
    Some(0x4000_0028)
} else if cfg!(target_arch = "riscv64") {
    Some(0xC000_00F3)
} else {
    None
};

/// Where `struct seccomp_data` has the number of the call, the architecture, and the low halves of its arguments.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7FFF_0000;
const FAIL: u32 = 0x0005_0000;

/// When a call is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// Always.
    Always,
    /// When the low half of an argument, under a mask, is one of these.
    ArgumentIn {
        /// Which argument, from 0.
        argument: u32,
        /// Bits that count.
        mask: u32,
        /// Values allowed.
        values: &'static [u32],
    },
    /// Never, and told to be unknown to this kernel, so that the C library takes another way.
    Unknown,
}

/// The filter: calls of the list as it says, all others fail with "not permitted".
pub(super) fn assemble(architecture: u32, calls: &[(libc::c_long, When)]) -> Vec<sock_filter> {
    let mut program = vec![
        load(ARCH),
        jump_if_equal(architecture, 1, 0),
        give(FAIL | libc::EPERM as u32),
        load(NUMBER),
    ];
    for (call, when) in calls {
        let then = body(*when);
        program.push(jump_if_equal(*call as u32, 0, then.len() as u8));
        program.extend(then);
    }
    program.push(give(FAIL | libc::EPERM as u32));
    program
}

/// What is done for a call that matched; it always returns.
fn body(when: When) -> Vec<sock_filter> {
    match when {
        When::Always => vec![give(ALLOW)],
        When::Unknown => vec![give(FAIL | libc::ENOSYS as u32)],
        When::ArgumentIn {
            argument,
            mask,
            values,
        } => {
            let mut then = vec![
                load(FIRST_ARGUMENT + 8 * argument),
                instruction(AND, 0, 0, mask),
            ];
            for value in values {
                then.extend([jump_if_equal(*value, 0, 1), give(ALLOW)]);
            }
            then.push(give(FAIL | libc::EPERM as u32));
            then
        }
    }
}

fn load(offset: u32) -> sock_filter {
    instruction(LOAD, 0, 0, offset)
}

fn jump_if_equal(value: u32, equal: u8, other: u8) -> sock_filter {
    instruction(JUMP_IF_EQUAL, equal, other, value)
}

fn give(what: u32) -> sock_filter {
    instruction(RETURN, 0, 0, what)
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miner::confine::calls::CALLS;

    /// What the kernel's interpreter makes of a filter, for a call with its arguments.
    fn judge(program: &[sock_filter], architecture: u32, call: u32, arguments: [u32; 6]) -> u32 {
        let mut at = 0;
        let mut held = 0;
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            match code {
                LOAD if k == NUMBER => held = call,
                LOAD if k == ARCH => held = architecture,
                LOAD => held = arguments[((k - FIRST_ARGUMENT) / 8) as usize],
                AND => held &= k,
                JUMP_IF_EQUAL => at += usize::from(if held == k { jt } else { jf }),
                RETURN => return k,
                other => panic!("no such instruction {other}"),
            }
        }
    }

    const NATIVE: u32 = ARCHITECTURE.expect("tests run where the filter is known");
    const DENIED: u32 = FAIL | libc::EPERM as u32;

    #[test]
    fn each_call_is_judged_as_the_list_says() {
        let program = assemble(NATIVE, CALLS);
        assert!(program.len() < 4_096, "{}", program.len());
        for (call, when) in CALLS {
            let judged = |arguments| judge(&program, NATIVE, *call as u32, arguments);
            match *when {
                When::Always => assert_eq!(judged([0; 6]), ALLOW, "{call}"),
                When::Unknown => assert_eq!(judged([0; 6]), FAIL | libc::ENOSYS as u32),
                When::ArgumentIn {
                    argument, values, ..
                } => {
                    let with = |value| {
                        let mut arguments = [0; 6];
                        arguments[argument as usize] = value;
                        arguments
                    };
                    for value in values {
                        assert_eq!(judged(with(*value)), ALLOW, "{call} {value}");
                    }
                    assert_eq!(judged(with(0x7FFF_FFFF & !values[0])), DENIED, "{call}");
                }
            }
        }
    }

    #[test]
    fn calls_that_are_not_listed_and_foreign_architectures_fail() {
        let program = assemble(NATIVE, CALLS);
        let denied = [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_mount,
            libc::SYS_bpf,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_init_module,
            libc::SYS_reboot,
            libc::SYS_keyctl,
            libc::SYS_process_vm_writev,
            libc::SYS_perf_event_open,
            libc::SYS_setuid,
            libc::SYS_kexec_load,
        ];
        for call in denied {
            assert_eq!(
                judge(&program, NATIVE, call as u32, [0; 6]),
                DENIED,
                "{call}"
            );
        }
        let read = libc::SYS_read as u32;
        assert_eq!(judge(&program, NATIVE, read, [0; 6]), ALLOW);
        assert_eq!(judge(&program, NATIVE ^ 1, read, [0; 6]), DENIED);
    }

    #[test]
    fn sockets_are_of_the_internet_or_local_and_no_other_family() {
        let program = assemble(NATIVE, CALLS);
        for (family, allowed) in [
            (libc::AF_UNIX, true),
            (libc::AF_INET, true),
            (libc::AF_INET6, true),
            (libc::AF_NETLINK, false),
            (libc::AF_PACKET, false),
            (libc::AF_ALG, false),
            (libc::AF_VSOCK, false),
            (libc::AF_BLUETOOTH, false),
        ] {
            let judged = judge(
                &program,
                NATIVE,
                libc::SYS_socket as u32,
                [family as u32, 1, 0, 0, 0, 0],
            );
            assert_eq!(judged == ALLOW, allowed, "{family}");
        }
    }
}
