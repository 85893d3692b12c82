//! Traced orders: their ids arrive wherever they are decided, and with them when.

use crate::node::{Backend, PATIENCE, Way, core_with, everywhere, replica, socket};
use crate::sale::{SALE, with_sale};
use kilat_engine::{OrderId, OrderText, Orders, Placed, TraceContext, Traced};
use std::sync::{Arc, mpsc};

const CONTEXT: TraceContext = TraceContext { trace_id: 7 << 100 | 1, span_id: 9 << 60 | 2 };

/// Three orders of which the second is traced, if asked for.
fn group(way: &impl Way, traced: bool) -> Orders {
    let mut orders = Orders::default();
    for (index, key) in ["a", "b", "c"].into_iter().enumerate() {
        let text = OrderText { sale: SALE, customer: key, key };
        orders.push(way.handle().hasher(), OrderId::from_bits(index as u128), &text, 1, false);
        if traced && index == 1 {
            orders.trace_last(CONTEXT);
        }
    }
    orders
}

/// They are in order; a store decides and makes durable in one step.
fn check_stages(placed: &Placed, apart: bool) {
    let stages = placed.stages.unwrap();
    let decided = stages.decided.unwrap_or(stages.taken);
    assert!(stages.queued <= stages.taken && stages.taken <= decided, "{stages:?}");
    assert_eq!(stages.decided.is_some(), apart, "{stages:?}");
}

everywhere!(a_traced_group_tells_when_it_passed_which_stage);

async fn a_traced_group_tells_when_it_passed_which_stage(backend: Backend) {
    let node = backend.clone().with_sale(10).await;
    let placed = node.handle().place_all(group(&node, true)).await.unwrap();
    match backend {
        Backend::Core => assert!(placed.stages.is_none(), "the core tells its own collector"),
        Backend::Here => check_stages(&placed, true),
        _ => check_stages(&placed, false),
    }
    assert_eq!(placed.orders.traced(), [Traced { order: 1, context: CONTEXT }]);
    let mut used_again = placed.orders;
    used_again.clear();
    assert!(used_again.traced().is_empty(), "ids of one group would show up in the next");
    assert!(node.handle().place_all(group(&node, false)).await.unwrap().stages.is_none());
}

#[tokio::test]
async fn a_core_hears_of_traced_orders_and_of_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let engine = with_sale(&directory.path().join("data"), 10).await;
    let (tell, told) = mpsc::channel();
    let core = core_with(&engine, &socket(directory.path()), |options| {
        options.on_traced = Some(Arc::new(move |placed| {
            check_stages(placed, true);
            tell.send((placed.orders.traced().to_vec(), placed.outcomes().len())).unwrap();
        }));
    });
    let remote = replica(core.address());
    remote.handle().place_all(group(&remote, false)).await.unwrap();
    let placed = remote.handle().place_all(group(&remote, true)).await.unwrap();
    assert!(placed.stages.is_none(), "a replica knows nothing of the core's stages");
    let expected = (vec![Traced { order: 1, context: CONTEXT }], 3);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(expected));
    assert!(told.try_recv().is_err(), "told of a group that is not traced");
}
