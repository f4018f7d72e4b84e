//! `poll_oneoff`.
//!
//! wasmtime-wasi waits for clocks and standard streams. It reads the subscriptions from guest
//! memory, so ours are handed to it in a memory of their own, under its own descriptor numbers.
//! Files are always ready: each stands there as a timer that has run out, which makes the call
//! return with whatever else is ready, and its event is put in its place afterwards.

use super::types::{
    Clockid, Errno, Error, Event, EventFdReadwrite, Eventrwflags, Eventtype, Fd, Size,
    Subclockflags, Subscription, SubscriptionClock, SubscriptionFdReadwrite, SubscriptionU,
};
use super::{Entry, OverlayP1Ctx, Preview1, convert};
use wasi_overlay_core::File;
use wiggle::{GuestMemory, GuestPtr, GuestType};

/// Of subscriptions and events.
const ALIGNMENT: usize = 8;

/// A timer that has run out.
const PAST: SubscriptionU = SubscriptionU::Clock(SubscriptionClock {
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
        self.pay(subs.as_array(count))?;
        if !self.any_descriptor(memory, subs, count)? {
            self.enter_runtime().await;
            return self.wasi.poll_oneoff(memory, subs, events, count).await;
        }
        // For the copies.
        self.pay(subs.as_array(count))?;
        self.pay(events.as_array(count))?;

        let sub_bytes = count as usize * Subscription::guest_size() as usize;
        let event_bytes = count as usize * Event::guest_size() as usize;
        let mut storage = vec![0; sub_bytes + event_bytes + ALIGNMENT];
        let start = storage.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let mut inner = GuestMemory::Unshared(&mut storage[start..]);
        let inner_subs = GuestPtr::<Subscription>::new(0);
        // The subscriptions' bytes were paid for, and fuel is far below 4 GiB; else `overflow`.
        let inner_events = GuestPtr::<Event>::new(u32::try_from(sub_bytes)?);

        let mut files = Vec::new();
        let mut bad = 0;
        for index in 0..count {
            let sub = memory.read(subs.add(index)?)?;
            let userdata = index.into();
            let u = match direction(&sub.u) {
                Some((fd, type_)) => match self.polled(fd, type_) {
                    Polled::Stream(stream) => stream,
                    polled @ (Polled::File | Polled::Bad) => {
                        let is_bad = matches!(polled, Polled::Bad);
                        bad += Size::from(is_bad);
                        files.push((index, fd, type_, is_bad));
                        PAST
                    }
                },
                None => sub.u,
            };
            inner.write(inner_subs.add(index)?, Subscription { userdata, u })?;
        }
        if bad == count {
            // As in wasmtime-wasi, whose own programs ask for it.
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

        // Both come in the order of the subscriptions.
        let mut files = files.into_iter().peekable();
        let (mut seen, mut written) = (0, 0);
        for index in 0..count {
            let mut event = None;
            if seen < ready {
                let next = inner.read(inner_events.add(seen)?)?;
                if next.userdata == u64::from(index) {
                    event = Some(next);
                    seen += 1;
                }
            }
            if let Some((_, fd, type_, is_bad)) = files.next_if(|(at, ..)| *at == index) {
                event = Some(match is_bad {
                    true => failed(type_, Errno::Badf),
                    false => self.file_event(fd, type_).await?,
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

    /// Whether any subscription is about a descriptor.
    fn any_descriptor(
        &self,
        memory: &GuestMemory<'_>,
        subs: GuestPtr<Subscription>,
        count: Size,
    ) -> Result<bool, Error> {
        for index in 0..count {
            if direction(&memory.read(subs.add(index)?)?.u).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a subscription to a descriptor waits for. A file is ready for whatever it is polled, as in
    /// POSIX, also where it was not opened for that.
    fn polled(&self, fd: Fd, type_: Eventtype) -> Polled {
        let write = type_ == Eventtype::FdWrite;
        match self.table.get("poll_oneoff", fd) {
            Ok(Entry::Stdio(inner)) => {
                let file_descriptor = *inner;
                let is_input = u32::from(file_descriptor) == 0;
                let sub = SubscriptionFdReadwrite { file_descriptor };
                match (write, is_input) {
                    (true, false) => Polled::Stream(SubscriptionU::FdWrite(sub)),
                    (false, true) => Polled::Stream(SubscriptionU::FdRead(sub)),
                    (true, true) | (false, false) => Polled::Bad,
                }
            }
            Ok(Entry::File(_)) => Polled::File,
            // The only error of the table is that it does not have the descriptor.
            Ok(Entry::Dir(_)) | Err(_) => Polled::Bad,
        }
    }

    /// The event of a file; at its end, that there is no more. A file that fails says so in its own
    /// event.
    async fn file_event(&mut self, fd: Fd, type_: Eventtype) -> Result<Event, Error> {
        let mut flags = Eventrwflags::empty();
        if type_ == Eventtype::FdRead {
            let open = self.table.file("poll_oneoff", fd)?;
            match self.blocking().run_on(&open.file, File::stat).await {
                Ok(stat) if stat.size > open.position => {}
                Ok(_) => flags |= Eventrwflags::FD_READWRITE_HANGUP,
                Err(error) => {
                    let errno = convert::errno(crate::convert::guest_code(&error));
                    return Ok(failed(type_, errno));
                }
            }
        }
        Ok(Event {
            userdata: 0,
            error: Errno::Success,
            type_,
            // As wasmtime-wasi: not how many, but that there are some.
            fd_readwrite: EventFdReadwrite { nbytes: 1, flags },
        })
    }
}

/// What a subscription to a descriptor waits for.
enum Polled {
    /// A standard stream, as wasmtime-wasi is to see it.
    Stream(SubscriptionU),
    /// A file: nothing.
    File,
    /// Nothing that can be polled so.
    Bad,
}

/// The event of a subscription that failed.
fn failed(type_: Eventtype, error: Errno) -> Event {
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

/// The descriptor that a subscription is about, and what is to be done with it.
fn direction(u: &SubscriptionU) -> Option<(Fd, Eventtype)> {
    match u {
        SubscriptionU::Clock(_) => None,
        SubscriptionU::FdRead(sub) => Some((sub.file_descriptor, Eventtype::FdRead)),
        SubscriptionU::FdWrite(sub) => Some((sub.file_descriptor, Eventtype::FdWrite)),
    }
}
