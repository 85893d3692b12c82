//! `docs/demo.md`, followed from the first command to the last with containers.

use super::system::System;
use crate::guide::section;

#[test]
fn the_demonstration_with_containers_shows_what_it_promises() {
    let system = System::prepare();
    let mut reader = system.reader();
    section("With containers").iter().for_each(|step| drop(reader.follow(step)));
}
