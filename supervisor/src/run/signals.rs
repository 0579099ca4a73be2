//! Signals of the operating system as a stream of ours.

use std::io;
use std::pin::Pin;
use std::task::Poll;

use signal_hook_tokio::{Handle, Signals};

use crate::process::sys;
use crate::signal::Signal;

/// The signals that are handled from the first moment on: those that stop us, those that the main
/// process gets by default, and the end of children. PID 1 never receives a signal it has no
/// handler for.
const FROM_THE_START: [Signal; 8] = [
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::CHLD,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
];

/// Installed handlers.
pub(super) struct SignalStream {
    signals: Signals,
    handle: Handle,
}

impl SignalStream {
    /// Installs the handlers. Must happen before the first fork.
    pub fn install() -> io::Result<SignalStream> {
        sys::outlive_file_size_limit();
        // A handler is in place before it knows what to do: without this, a signal in between is lost.
        sys::block_signals()?;
        let signals = Signals::new(FROM_THE_START.map(Signal::number))?;
        // Only now: what came while it was blocked finds its handler.
        sys::unblock_signals()?;
        let handle = signals.handle();
        Ok(SignalStream { signals, handle })
    }

    /// Handles one more.
    pub fn add(&self, signal: Signal) -> io::Result<()> {
        self.handle.add_signal(signal.number())
    }

    /// The next signal. Identical signals that arrive together come as one.
    pub async fn next(&mut self) -> Signal {
        loop {
            let number = std::future::poll_fn(|context| {
                futures_core::Stream::poll_next(Pin::new(&mut self.signals), context)
            });
            if let Some(signal) = number.await.and_then(Signal::from_number) {
                return signal;
            }
        }
    }

    /// A signal that has already arrived.
    pub async fn pending(&mut self) -> Option<Signal> {
        let mut next = std::pin::pin!(self.next());
        std::future::poll_fn(|context| match next.as_mut().poll(context) {
            Poll::Ready(signal) => Poll::Ready(Some(signal)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}
