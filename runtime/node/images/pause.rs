//! The process of a pod's sandbox: holds the pod's namespaces and does nothing, until it is told to end.
//!
//! It has no libc and no runtime: three system calls, a few KiB. As process 1 of a shared PID
//! namespace it also reaps the children that lost their parents.

#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;

const SIGINT: usize = 2;
const SIGTERM: usize = 15;
const SIGCHLD: usize = 17;
const SIG_BLOCK: usize = 0;
const ECHILD: isize = -10;
const WNOHANG: usize = 1;

#[cfg(target_arch = "x86_64")]
mod number {
    pub const RT_SIGPROCMASK: usize = 14;
    pub const WAIT4: usize = 61;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const EXIT_GROUP: usize = 231;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const EXIT_GROUP: usize = 94;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const RT_SIGTIMEDWAIT: usize = 137;
    pub const WAIT4: usize = 260;
}

#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {}", "ud2", sym main);

#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, xzr", "bl {}", "udf #0", sym main);

/// One system call of up to four arguments.
///
/// # Safety
/// The arguments are what the kernel expects of `number`.
#[cfg(target_arch = "x86_64")]
unsafe fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let answer: isize;
    // SAFETY: the caller vouches for the arguments; the kernel clobbers rcx and r11.
    unsafe {
        asm!("syscall", inlateout("rax") number => answer, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer
}

/// One system call of up to four arguments.
///
/// # Safety
/// The arguments are what the kernel expects of `number`.
#[cfg(target_arch = "aarch64")]
unsafe fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let answer: isize;
    // SAFETY: the caller vouches for the arguments.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") a => answer, in("x1") b, in("x2") c, in("x3") d,
             options(nostack));
    }
    answer
}

extern "C" fn main() -> ! {
    // Process 1 ignores signals that have no handler; blocked ones can be waited for all the same.
    let signals: u64 = [SIGINT, SIGTERM, SIGCHLD].iter().map(|signal| 1 << (signal - 1)).sum();
    let set = core::ptr::from_ref(&signals) as usize;
    // SAFETY: `set` points to a signal set of 8 bytes, which outlives the calls.
    unsafe { call(number::RT_SIGPROCMASK, SIG_BLOCK, set, 0, 8) };
    loop {
        // SAFETY: as above.
        match unsafe { call(number::RT_SIGTIMEDWAIT, set, 0, 0, 8) } as usize {
            SIGCHLD => reap(),
            SIGINT | SIGTERM => exit(0),
            _ => {}
        }
    }
}

fn reap() {
    // SAFETY: null pointers tell the kernel that no status is wanted.
    while !matches!(unsafe { call(number::WAIT4, usize::MAX, 0, WNOHANG, 0) }, 0 | ECHILD) {}
}

fn exit(code: usize) -> ! {
    loop {
        // SAFETY: takes no pointers, and does not return.
        unsafe { call(number::EXIT_GROUP, code, 0, 0, 0) };
    }
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(2)
}
