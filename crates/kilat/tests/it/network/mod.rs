//! Networks that lose packets, between processes that do not know it. Only root may make them.

mod lab;
mod partition;
mod resolver;
