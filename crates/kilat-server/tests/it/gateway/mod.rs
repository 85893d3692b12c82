//! The gateway over real loopback sockets, in front of replicas that misbehave on request.
//!
//! | module | asks |
//! |---|---|
//! | `fake`, `world` | replicas that remember every byte, and a gateway of its own for each test |
//! | `relay` | whose turn it is, and what changes on the way |
//! | `failover` | replicas that die, stop, hang or leave: who notices, what is repeated |
//! | `smuggling` | bytes that two readers could read in two ways |
//! | `lane` | orders, many of which share a connection to a replica |
//! | `crowding` | more than replicas can do, and clients who leave before they are answered |
//! | `slow` | clients that are slow, large or many, and the end of a gateway |
//! | `tls` | clients that speak TLS |

mod crowding;
mod failover;
mod fake;
mod lane;
mod relay;
mod slow;
mod smuggling;
mod tls;
mod world;
