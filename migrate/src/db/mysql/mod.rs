//! MySQL and MariaDB.

use std::time::Duration;

use crate::db::*;
use crate::dir::Migration;
use crate::event::Event;
use crate::url::Target;
pub(crate) struct MySqlSession;
pub(crate) struct W;
impl Worker for W {
    type Handle = ();
    fn handle(&self) {}
    async fn apply(
        &mut self,
        _: &Migration,
        _: Mode,
        _: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Duration, ApplyError> {
        unimplemented!()
    }
    async fn close(self) {}
}
impl Session for MySqlSession {
    type Worker = W;
    async fn connect(_: &Target, _: &Run) -> Result<Self, SessionError> {
        unimplemented!()
    }
    async fn look(&mut self, _: &Key, _: bool) -> Result<Seen, SessionError> {
        unimplemented!()
    }
    async fn try_lock(&mut self) -> Result<bool, SessionError> {
        unimplemented!()
    }
    async fn fence(&mut self) -> Result<Ended, SessionError> {
        unimplemented!()
    }
    async fn begin(&mut self, _: &Key) -> Result<(), SessionError> {
        unimplemented!()
    }
    async fn worker(&mut self) -> Result<W, SessionError> {
        unimplemented!()
    }
    fn command_env(&self) -> Vec<(String, String)> {
        vec![]
    }
    async fn heartbeat(&mut self) -> Result<bool, SessionError> {
        unimplemented!()
    }
    async fn cancel(&mut self, _: &()) -> Result<(), SessionError> {
        unimplemented!()
    }
    async fn finish(&mut self, _: Ending<'_>) -> Result<(), SessionError> {
        unimplemented!()
    }
    async fn close(self) {}
    async fn end_holder(&mut self) -> Result<Ended, SessionError> {
        unimplemented!()
    }
    async fn releases(&mut self, _: u32) -> Result<Vec<Release>, SessionError> {
        unimplemented!()
    }
}
