//! Every caller gets one answer, whatever happens.

use crate::in_stripes;
use crate::node::{Backend, Way as _, everywhere};
use crate::sale::{SALE, confirm, create, ordered, place, refused};
use kilat_engine::{OrderStatus, Outcome, Page, Refusal, Unavailable};

everywhere! {
    buyers_get_what_there_is_and_not_one_more,
    a_replay_gives_the_first_order_with_its_current_status,
    a_hold_lapses_by_itself_and_its_unit_is_sold_again,
    a_page_of_orders_goes_on_where_the_last_one_ended,
    after_the_stop_callers_are_told_so_and_those_before_it_are_served,
    more_than_the_queue_holds_is_refused_at_once,
}

async fn buyers_get_what_there_is_and_not_one_more(backend: Backend) {
    let node = backend.with_sale(10).await;
    let buyers: Vec<String> = (0..100).map(|n| format!("buyer-{n}")).collect();
    let outcomes = futures(buyers.iter().map(|key| place(&node, key, false))).await;
    let sold = outcomes.iter().filter(|o| ordered(*o.as_ref().unwrap()).is_some()).count();
    let refused =
        outcomes.iter().filter(|o| refused(*o.as_ref().unwrap()) == Some(Refusal::SoldOut)).count();
    assert_eq!((sold, refused), (10, 90));
    let sale = node.handle().sale(SALE).await.unwrap().unwrap();
    assert_eq!((sale.counters.available, sale.counters.sold), (0, 10));
    assert_eq!(node.handle().board().sale(SALE).unwrap().counters, sale.counters);
}

async fn a_replay_gives_the_first_order_with_its_current_status(backend: Backend) {
    let node = backend.with_sale(10).await;
    let (held, replayed) = ordered(place(&node, "budi", true).await.unwrap()).unwrap();
    assert!(!replayed);
    assert!(matches!(confirm(&node, held).await, Outcome::Order { replayed: false, .. }));
    let again = place(&node, "budi", true).await.unwrap();
    assert_eq!(ordered(again), Some((held, true)));
    assert!(
        matches!(again, Outcome::Order { order, .. } if order.status == OrderStatus::Confirmed)
    );
    let key_reused = place(&node, "budi", false).await.unwrap();
    assert_eq!(refused(key_reused), Some(Refusal::KeyReused));
}

async fn a_hold_lapses_by_itself_and_its_unit_is_sold_again(backend: Backend) {
    let node = backend.open();
    create(&node, 1, 1).await;
    let (held, _) = ordered(place(&node, "slow", true).await.unwrap()).unwrap();
    assert_eq!(refused(place(&node, "next", false).await.unwrap()), Some(Refusal::SoldOut));
    let mut sale = node.handle().board().follow(SALE).unwrap();
    sale.wait_for(|sale| sale.counters.expired == 1).await.unwrap();
    assert_eq!(refused(confirm(&node, held).await), Some(Refusal::HoldExpired));
    assert!(ordered(place(&node, "next", false).await.unwrap()).is_some());
}

async fn a_page_of_orders_goes_on_where_the_last_one_ended(backend: Backend) {
    let node = backend.with_sale(100).await;
    for n in 0..25 {
        place(&node, &format!("buyer-{n:02}"), false).await.unwrap();
    }
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = Page { sale: SALE.into(), customer: None, after, limit: 10 };
        let orders = node.handle().orders(page).await.unwrap().unwrap();
        let Some(last) = orders.last() else { break };
        after = last.order.sequence;
        seen.extend(orders.into_iter().map(|o| o.customer));
    }
    let seen = in_stripes::in_order(&node, seen);
    assert_eq!(seen, (0..25).map(|n| format!("buyer-{n:02}")).collect::<Vec<_>>());
}

async fn after_the_stop_callers_are_told_so_and_those_before_it_are_served(backend: Backend) {
    let mut node = backend.with_sale(10).await;
    let handle = node.handle().clone();
    let early = place(&node, "early", false);
    let (early, ()) = tokio::join!(early, async {});
    assert!(ordered(early.unwrap()).is_some());
    node.stop();
    assert_eq!(handle.sales().await.unwrap_err(), Unavailable::ShuttingDown);
}

async fn more_than_the_queue_holds_is_refused_at_once(backend: Backend) {
    let node = backend.with_sale(10).await;
    let mut orders = kilat_engine::Orders::default();
    for n in 0..=kilat_engine::QUEUE_COMMANDS_MAX {
        let key = format!("{n}");
        let text = kilat_engine::OrderText { sale: SALE, customer: &key, key: &key };
        let id = kilat_engine::OrderId::from_bits(n as u128);
        orders.push(node.handle().hasher(), id, &text, 1, false);
    }
    let Err(why) = node.handle().place_all(orders).await else { panic!("taken") };
    assert_eq!(why, Unavailable::Overloaded);
}

/// Awaits all at the same time, on this task.
async fn futures<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut left = 0;
        for (future, slot) in running.iter_mut().zip(&mut done) {
            if slot.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *slot = Some(value),
                    std::task::Poll::Pending => left += 1,
                }
            }
        }
        if left == 0 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
