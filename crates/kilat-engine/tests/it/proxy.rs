//! A network between a replica and its core that loses and delays on request.

use crate::node::PATIENCE;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// What the core says is lost.
    pub(crate) replies_lost: bool,
    /// What the replica says arrives when this is over.
    pub(crate) requests_held: bool,
    /// Nobody gets through.
    pub(crate) closed: bool,
}

/// See the module.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    pub(crate) path: PathBuf,
}

struct Shared {
    core: PathBuf,
    weather: Mutex<Weather>,
    changed: Condvar,
    open: Mutex<Vec<UnixStream>>,
}

impl Proxy {
    pub(crate) fn start(directory: &Path, core: &Path) -> Proxy {
        let path = directory.join("proxy.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let shared = Arc::new(Shared {
            core: core.to_owned(),
            weather: Mutex::default(),
            changed: Condvar::new(),
            open: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                serving.serve(client.unwrap());
            }
        });
        Proxy { shared, path }
    }

    pub(crate) fn set(&self, weather: Weather) {
        *self.shared.weather.lock().unwrap() = weather;
        self.shared.changed.notify_all();
    }

    /// Breaks every connection.
    pub(crate) fn cut(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn serve(self: &Arc<Self>, client: UnixStream) {
        if self.weather.lock().unwrap().closed {
            return;
        }
        let Ok(core) = UnixStream::connect(&self.core) else { return };
        let both = [client.try_clone().unwrap(), core.try_clone().unwrap()];
        self.open.lock().unwrap().extend(both);
        let (from, to, shared) =
            (client.try_clone().unwrap(), core.try_clone().unwrap(), Arc::clone(self));
        thread::spawn(move || shared.pump(from, to, true));
        let shared = Arc::clone(self);
        thread::spawn(move || shared.pump(core, client, false));
    }

    fn pump(&self, mut from: UnixStream, mut to: UnixStream, is_request: bool) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let held = |weather: &mut Weather| is_request && weather.requests_held;
            let weather = self.weather.lock().unwrap();
            let waited = self.changed.wait_timeout_while(weather, PATIENCE, held).unwrap().0;
            let lost = !is_request && waited.replies_lost;
            drop(waited);
            if !lost && to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}
