//! `poll_oneoff`: files are served here, clocks and standard streams by wasmtime-wasi.
//!
//! wasmtime-wasi reads the subscriptions from guest memory. So it gets a memory of its own with a copy of
//! them, in which standard streams have wasmtime-wasi's descriptor numbers. Files are always ready: the
//! copy has a timer that has expired in place of each, so that the call returns immediately with
//! everything else that is ready. The events of the files replace those of the timers afterwards.

use super::types::{
    Clockid, Errno, Error, Event, EventFdReadwrite, Eventrwflags, Eventtype, Fd, Size,
    Subclockflags, Subscription, SubscriptionClock, SubscriptionFdReadwrite, SubscriptionU,
};
use super::{Entry, OverlayP1Ctx, Preview1, convert};
use wasi_overlay_core::File;
use wiggle::{GuestMemory, GuestPtr, GuestType};

/// The alignment of subscriptions and events, in bytes.
const ALIGNMENT: usize = 8;

/// A timer that has expired.
const EXPIRED_TIMER: SubscriptionU = SubscriptionU::Clock(SubscriptionClock {
    id: Clockid::Monotonic,
    timeout: 0,
    precision: 0,
    flags: Subclockflags::empty(),
});

impl OverlayP1Ctx {
    pub(super) async fn poll(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subs: GuestPtr<Subscription>,
        events: GuestPtr<Event>,
        count: Size,
    ) -> Result<Size, Error> {
        self.charge_fuel(subs.as_array(count))?;
        if !self.polls_any_descriptor(memory, subs, count)? {
            self.enter_runtime().await;
            return self.wasi.poll_oneoff(memory, subs, events, count).await;
        }
        // For the copies of both arrays.
        self.charge_fuel(subs.as_array(count))?;
        self.charge_fuel(events.as_array(count))?;

        let sub_bytes = count as usize * Subscription::guest_size() as usize;
        let event_bytes = count as usize * Event::guest_size() as usize;
        let mut storage = vec![0; sub_bytes + event_bytes + ALIGNMENT];
        let start = storage.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let mut inner = GuestMemory::Unshared(&mut storage[start..]);
        let inner_subs = GuestPtr::<Subscription>::new(0);
        // The fuel, which is far below 4 GiB, covers the subscriptions' bytes; otherwise `overflow`.
        let inner_events = GuestPtr::<Event>::new(u32::try_from(sub_bytes)?);

        let mut files = Vec::new();
        let mut bad = 0;
        for index in 0..count {
            let sub = memory.read(subs.add(index)?)?;
            let userdata = index.into();
            let u = match polled_descriptor(&sub.u) {
                Some((fd, type_)) => match self.poll_target(fd, type_) {
                    PollTarget::Stream(stream) => stream,
                    target @ (PollTarget::File | PollTarget::Invalid) => {
                        let is_bad = matches!(target, PollTarget::Invalid);
                        bad += Size::from(is_bad);
                        files.push((index, fd, type_, is_bad));
                        EXPIRED_TIMER
                    }
                },
                None => sub.u,
            };
            inner.write(inner_subs.add(index)?, Subscription { userdata, u })?;
        }
        if bad == count {
            // As in wasmtime-wasi, whose own test programs expect it.
            return Err(Errno::Badf.into());
        }
        let ready = if files.len() == count as usize {
            0
        } else {
            self.enter_runtime().await;
            self.wasi
                .poll_oneoff(&mut inner, inner_subs, inner_events, count)
                .await?
        };

        // `files` and the events of wasmtime-wasi are both in the order of the subscriptions.
        let mut files = files.into_iter().peekable();
        let (mut consumed, mut written) = (0, 0);
        for index in 0..count {
            let mut event = None;
            if consumed < ready {
                let next = inner.read(inner_events.add(consumed)?)?;
                if next.userdata == u64::from(index) {
                    event = Some(next);
                    consumed += 1;
                }
            }
            if let Some((_, fd, type_, is_bad)) = files.next_if(|(at, ..)| *at == index) {
                event = Some(if is_bad {
                    error_event(type_, Errno::Badf)
                } else {
                    self.file_event(fd, type_).await?
                });
            }
            if let Some(mut event) = event {
                event.userdata = memory.read(subs.add(index)?)?.userdata;
                memory.write(events.add(written)?, event)?;
                written += 1;
            }
        }
        Ok(written)
    }

    /// Whether any subscription is for a descriptor.
    fn polls_any_descriptor(
        &self,
        memory: &GuestMemory<'_>,
        subs: GuestPtr<Subscription>,
        count: Size,
    ) -> Result<bool, Error> {
        for index in 0..count {
            if polled_descriptor(&memory.read(subs.add(index)?)?.u).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The object that a subscription to a descriptor waits for. As in POSIX, a file is always ready to
    /// read and to write, even if it was opened for only one of them.
    fn poll_target(&self, fd: Fd, type_: Eventtype) -> PollTarget {
        let write = type_ == Eventtype::FdWrite;
        match self.table.get("poll_oneoff", fd) {
            Ok(Entry::Stdio(inner)) => {
                let file_descriptor = *inner;
                let is_input = u32::from(file_descriptor) == 0;
                let sub = SubscriptionFdReadwrite { file_descriptor };
                match (write, is_input) {
                    (true, false) => PollTarget::Stream(SubscriptionU::FdWrite(sub)),
                    (false, true) => PollTarget::Stream(SubscriptionU::FdRead(sub)),
                    (true, true) | (false, false) => PollTarget::Invalid,
                }
            }
            Ok(Entry::File(_)) => PollTarget::File,
            // The only error of the table is `badf`.
            Ok(Entry::Dir(_)) | Err(_) => PollTarget::Invalid,
        }
    }

    /// The event of a file, with the hangup flag if the position is at the end of the file. If the file
    /// fails, its event has the error, and the call does not fail.
    async fn file_event(&mut self, fd: Fd, type_: Eventtype) -> Result<Event, Error> {
        let mut flags = Eventrwflags::empty();
        if type_ == Eventtype::FdRead {
            let open = self.table.file("poll_oneoff", fd)?;
            match self.blocking().run_on(&open.file, File::stat).await {
                Ok(stat) if stat.size > open.position => {}
                Ok(_) => flags |= Eventrwflags::FD_READWRITE_HANGUP,
                Err(error) => {
                    let errno = convert::errno(crate::convert::guest_code(&error));
                    return Ok(error_event(type_, errno));
                }
            }
        }
        Ok(Event {
            userdata: 0,
            error: Errno::Success,
            type_,
            // As in wasmtime-wasi: not the number of bytes, only that it is not 0.
            fd_readwrite: EventFdReadwrite { nbytes: 1, flags },
        })
    }
}

/// The object that a subscription to a descriptor waits for.
enum PollTarget {
    /// A standard stream, as a subscription for wasmtime-wasi.
    Stream(SubscriptionU),
    /// A file, which is always ready.
    File,
    /// A directory, a closed descriptor, or a standard stream of the other direction.
    Invalid,
}

/// The event of a failed subscription.
fn error_event(type_: Eventtype, error: Errno) -> Event {
    Event {
        userdata: 0,
        error,
        type_,
        fd_readwrite: EventFdReadwrite {
            nbytes: 0,
            flags: Eventrwflags::empty(),
        },
    }
}

/// The descriptor of a subscription, and whether it polls for reading or writing; `None` for a clock.
fn polled_descriptor(u: &SubscriptionU) -> Option<(Fd, Eventtype)> {
    match u {
        SubscriptionU::Clock(_) => None,
        SubscriptionU::FdRead(sub) => Some((sub.file_descriptor, Eventtype::FdRead)),
        SubscriptionU::FdWrite(sub) => Some((sub.file_descriptor, Eventtype::FdWrite)),
    }
}
