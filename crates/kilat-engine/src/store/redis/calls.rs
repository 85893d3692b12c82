//! One call of the rules, or many at once, and once more with the rules where a server lost them.

use super::script::{Entry, Loaded};
use super::{Cmd, Redis, Sent, StoreFault, Value, fault};
use redis::RedisResult;

impl Redis {
    /// Calls an entry on one key.
    pub(super) fn invoke(
        &mut self,
        entry: Entry,
        key: &[u8],
        arguments: impl FnOnce(&mut Cmd),
    ) -> Result<Value, StoreFault> {
        let mut cmd = self.script.call(&self.loaded, entry, &[key]);
        arguments(&mut cmd);
        self.send(key, entry, 1, &cmd)
    }

    /// Sends a call on as many keys, of which `key` is one.
    pub(super) fn send(
        &mut self,
        key: &[u8],
        entry: Entry,
        keys: usize,
        cmd: &Cmd,
    ) -> Result<Value, StoreFault> {
        let told = self.link.call(key, cmd);
        self.understood(key, entry, keys, cmd, told)
    }

    /// Sends calls on one key each, all at once.
    pub(super) fn send_all(
        &mut self,
        entry: Entry,
        calls: &[(Vec<u8>, Cmd)],
    ) -> Vec<Result<Value, StoreFault>> {
        let told = self.link.call_all(calls);
        let understood =
            |((key, cmd), told): (&(Vec<u8>, Cmd), _)| self.understood(key, entry, 1, cmd, told);
        calls.iter().zip(told).map(understood).collect()
    }

    fn understood(
        &mut self,
        key: &[u8],
        entry: Entry,
        keys: usize,
        cmd: &Cmd,
        told: RedisResult<Value>,
    ) -> Result<Value, StoreFault> {
        let error = match told {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !fault::is_without_rules(&error) && !fault::is_unknown_command(&error) {
            return Err(fault::of(&error, Sent::Call));
        }
        let as_scripts = matches!(self.loaded, Loaded::Scripts(_));
        self.loaded = self.script.load(&mut self.link, as_scripts)?;
        // Words before the keys: name of the call, name of the entry, number of keys.
        let mut words = cmd.args_iter().skip(3);
        let mut simple = || match words.next() {
            Some(redis::Arg::Simple(bytes)) => Some(bytes),
            _ => None,
        };
        let keys: Vec<&[u8]> = (0..keys).filter_map(|_| simple()).collect();
        let mut again = self.script.call(&self.loaded, entry, &keys);
        while let Some(argument) = simple() {
            again.arg(argument);
        }
        self.link.call(key, &again).map_err(|error| fault::of(&error, Sent::Call))
    }
}
