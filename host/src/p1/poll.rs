//! `poll_oneoff`.
//!
//! wasmtime-wasi waits for clocks and standard streams. It reads the subscriptions from guest
//! memory, so ours are handed to it in a memory of their own, under its own descriptor numbers.
//! Files are always ready: each stands there as a timer that has run out, which makes the call
//! return at once with whatever else is ready, and its event is put in place afterwards.

use super::types::{
    Clockid, Errno, Error, Event, EventFdReadwrite, Eventrwflags, Eventtype, Fd, Size,
    Subclockflags, Subscription, SubscriptionClock, SubscriptionFdReadwrite, SubscriptionU,
};
use super::{Entry, OverlayP1Ctx, Preview1, convert};
use wiggle::{GuestMemory, GuestPtr, GuestType};

/// Of subscriptions and events.
const ALIGNMENT: usize = 8;

impl OverlayP1Ctx {
    pub(super) async fn poll(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subs: GuestPtr<Subscription>,
        events: GuestPtr<Event>,
        count: Size,
    ) -> Result<Size, Error> {
        self.enter_runtime().await;
        self.pay(subs.as_array(count))?;
        if !self.any_descriptor(memory, subs, count)? {
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

        for index in 0..count {
            let sub = memory.read(subs.add(index)?)?;
            let u = self.translate(sub.u)?;
            let userdata = index.into();
            inner.write(inner_subs.add(index)?, Subscription { userdata, u })?;
        }
        let ready = self
            .wasi
            .poll_oneoff(&mut inner, inner_subs, inner_events, count)
            .await?;
        for place in 0..ready {
            let mut event = inner.read(inner_events.add(place)?)?;
            // The index that was put there above.
            let index = u32::try_from(event.userdata)?;
            let sub = memory.read(subs.add(index)?)?;
            event.userdata = sub.userdata;
            if let Some((fd, type_)) = direction(&sub.u)
                && let Entry::File(_) = self.table.get(fd)?
            {
                event = self.file_event(fd, type_, sub.userdata).await?;
            }
            memory.write(events.add(place)?, event)?;
        }
        Ok(ready)
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

    /// The subscription as wasmtime-wasi is to see it.
    fn translate(&self, u: SubscriptionU) -> Result<SubscriptionU, Error> {
        let Some((fd, type_)) = direction(&u) else {
            return Ok(u);
        };
        match self.table.get(fd)? {
            Entry::Stdio(inner) => {
                let sub = SubscriptionFdReadwrite {
                    file_descriptor: *inner,
                };
                Ok(match type_ {
                    Eventtype::FdWrite => SubscriptionU::FdWrite(sub),
                    Eventtype::FdRead | Eventtype::Clock => SubscriptionU::FdRead(sub),
                })
            }
            Entry::File(open) => {
                let allowed = match type_ {
                    Eventtype::FdWrite => open.file.is_writable(),
                    Eventtype::FdRead | Eventtype::Clock => open.file.is_readable(),
                };
                if !allowed {
                    return Err(Errno::Badf.into());
                }
                Ok(SubscriptionU::Clock(SubscriptionClock {
                    id: Clockid::Monotonic,
                    timeout: 0,
                    precision: 0,
                    flags: Subclockflags::empty(),
                }))
            }
            Entry::Dir(_) => Err(Errno::Badf.into()),
        }
    }

    /// What is said of a file; at its end, that there is no more.
    async fn file_event(
        &mut self,
        fd: Fd,
        type_: Eventtype,
        userdata: u64,
    ) -> Result<Event, Error> {
        let mut flags = Eventrwflags::empty();
        if type_ == Eventtype::FdRead {
            let open = self.table.file(fd)?;
            let (file, position) = (open.file.clone(), open.position);
            let stat = self.blocking().run(move || file.stat()).await;
            if stat.map_err(convert::error)?.size <= position {
                flags |= Eventrwflags::FD_READWRITE_HANGUP;
            }
        }
        Ok(Event {
            userdata,
            error: Errno::Success,
            type_,
            // As wasmtime-wasi: not how many, but that there are some.
            fd_readwrite: EventFdReadwrite { nbytes: 1, flags },
        })
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
