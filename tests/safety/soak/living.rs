//! What lives: bytes that are allocated and tasks that run. Not the memory of the process, which is the allocator's affair.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tokio::runtime::Handle;

thread_local! {
    /// Bytes that this thread has allocated and not given back: each test is a thread with all its tasks.
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

fn count(taken: usize, given: usize) {
    BYTES.set(
        BYTES
            .get()
            .wrapping_add_unsigned(taken as u64)
            .wrapping_sub_unsigned(given as u64),
    );
}

// SAFETY: every call goes on to the system's allocator unchanged. The counter neither allocates nor unwinds: a
// constant-initialised cell without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What lives at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Living {
    pub bytes: i64,
    pub tasks: usize,
}

impl Living {
    /// Of this thread and its runtime.
    pub fn now() -> Self {
        Self {
            bytes: BYTES.get(),
            tasks: Handle::current().metrics().num_alive_tasks(),
        }
    }
}
