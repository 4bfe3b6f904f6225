//! Edges of a line, timed by the kernel.

use super::{CONSUMER, failed, find};
use crate::gpio::{GpioError, LineId};
use gpiocdev::AbiVersion;
use gpiocdev::line::EdgeDetection;
use gpiocdev::request::Request;
use linux_embedded_hal::gpio_cdev::{EventRequestFlags, LineEventHandle, LineRequestFlags};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// Edges that the kernel is asked to keep: 2 s of a fan at 7500 rpm. The v1 interface always keeps 16.
const KEPT: u32 = 512;

/// A line whose falling edges are kept by the kernel until taken.
pub(in crate::linux) enum EdgeLine {
    /// Of the v1 interface.
    V1(LineEventHandle),
    /// Of the v2 interface.
    V2(Request),
}

impl EdgeLine {
    /// Takes a line for its falling edges.
    pub(in crate::linux) fn open(dev: &Path, sys: &Path, line: &LineId) -> Result<Self, GpioError> {
        let place = find::find(dev, sys, line)?;
        match place.interface(line)? {
            AbiVersion::V2 => Request::builder()
                .on_chip(&place.chip)
                .with_consumer(CONSUMER)
                .with_line(place.offset)
                .as_input()
                .with_edge_detection(EdgeDetection::FallingEdge)
                .with_kernel_event_buffer_size(KEPT)
                .request()
                .map(Self::V2)
                .map_err(|error| failed(line, "requesting its edges", error)),
            AbiVersion::V1 => place
                .line_v1()
                .and_then(|found| {
                    found.events(
                        LineRequestFlags::INPUT,
                        EventRequestFlags::FALLING_EDGE,
                        CONSUMER,
                    )
                })
                .map(Self::V1)
                .map_err(|error| failed(line, "requesting its edges", error)),
        }
    }

    /// Time stamp in nanoseconds of the oldest edge not yet taken; `None` when there is none. Never waits.
    pub(in crate::linux) fn take(&mut self) -> io::Result<Option<u64>> {
        match self {
            Self::V2(request) => {
                if !request.has_edge_event().map_err(io::Error::other)? {
                    return Ok(None);
                }
                let edge = request.read_edge_event().map_err(io::Error::other)?;
                Ok(Some(edge.timestamp_ns))
            }
            Self::V1(events) => {
                let mut waiting = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
                if poll(&mut waiting, PollTimeout::ZERO)? == 0 {
                    return Ok(None);
                }
                Ok(Some(
                    events.get_event().map_err(io::Error::other)?.timestamp(),
                ))
            }
        }
    }
}
