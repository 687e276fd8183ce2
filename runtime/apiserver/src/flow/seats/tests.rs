//! Who gets a seat, and when, in virtual time.

use futures::FutureExt;
use futures::future::join_all;

use super::*;

const QUEUING: Queuing = Queuing { queues: 8, hand_size: 2, length: 3 };

fn level(name: &str, shares: usize, queuing: Option<Queuing>) -> Shares {
    Shares { name: name.into(), exempt: false, shares, lendable: 0, borrowing: Some(0), queuing }
}

fn seats(levels: &[Shares]) -> (Arc<Seats>, Env) {
    let seats = Arc::<Seats>::default();
    assert_eq!(seats.configure(levels), (0..levels.len()).collect::<Vec<_>>());
    for level in levels {
        seats.schema(&level.name, "s");
    }
    (seats, Env::seeded(7, "2026-01-01T00:00:00Z".parse().unwrap()))
}

fn ticket(level: LevelId, distinguisher: &str) -> Ticket<'_> {
    Ticket { level, schema: level, distinguisher, request: Request::default() }
}

async fn full(seats: &Arc<Seats>, env: &Env, level: LevelId, count: usize) -> Vec<Seat> {
    let all = join_all((0..count).map(|_| seats.take(env, ticket(level, "first")))).await;
    all.into_iter().map(|seat| seat.expect("there is a seat")).collect()
}

#[test]
fn shares_are_parts_of_all_seats() {
    let lends = Shares { lendable: 50, borrowing: None, ..level("b", 3, None) };
    let exempt = Shares { exempt: true, ..level("c", 0, None) };
    let (seats, _) = seats(&[level("a", 1, None), lends, exempt]);
    let limits: Vec<_> = seats.state().levels.iter().map(|level| level.limits).collect();
    let expected = [(150, 150, 150), (450, 225, 600), (0, 0, 0)];
    assert_eq!(limits, expected.map(|(nominal, lower, upper)| Limits { nominal, lower, upper }));
}

#[tokio::test(start_paused = true)]
async fn who_may_not_wait_is_refused() {
    let (seats, env) = seats(&[level("a", 1, None), level("b", 599, None)]);
    let seat = seats.take(&env, ticket(0, "")).await.unwrap_or_else(|why| panic!("{why:?}"));
    assert_eq!(seats.take(&env, ticket(0, "")).await.err(), Some(Refusal::ConcurrencyLimit));
    drop(seat);
    assert!(seats.take(&env, ticket(0, "")).await.is_ok());
    let text = seats.text();
    let counted = "rejected_requests_total{flow_schema=\"s\",priority_level=\"a\",reason=\"concurrency-limit\"} 1";
    assert!(text.contains(counted), "{text}");
    assert!(text.contains("current_executing_requests{flow_schema=\"s\",priority_level=\"a\"} 0"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_in_turn_or_sent_away() {
    let one_queue = Queuing { queues: 1, hand_size: 1, length: 2 };
    let (seats, env) = seats(&[level("a", 1, Some(one_queue)), level("b", 599, None)]);
    let held = full(&seats, &env, 0, 1).await;
    let mut first = Box::pin(seats.take(&env, ticket(0, "x")));
    let mut second = Box::pin(seats.take(&env, ticket(0, "x")));
    assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
    assert_eq!(seats.take(&env, ticket(0, "x")).await.err(), Some(Refusal::QueueFull));
    drop(held);
    let served = first.await.expect("it is its turn");
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(second.await.err(), Some(Refusal::TimeOut));
    drop(served);
    let state = seats.state();
    assert_eq!((state.executing, state.levels[0].waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_goes_gives_up_his_place_and_his_seat() {
    let (seats, env) = seats(&[level("a", 1, Some(QUEUING)), level("b", 599, None)]);
    let held = full(&seats, &env, 0, 1).await;
    let mut gone = Box::pin(seats.take(&env, ticket(0, "x")));
    assert!(gone.as_mut().now_or_never().is_none());
    drop(gone);
    assert_eq!(seats.state().levels[0].waiting, 0);
    let mut given = Box::pin(seats.take(&env, ticket(0, "x")));
    assert!(given.as_mut().now_or_never().is_none());
    // It is given a seat, and goes without it.
    drop(held);
    assert_eq!(seats.state().levels[0].executing, 1);
    drop(given);
    assert_eq!(seats.state().levels[0].executing, 0);
}

#[tokio::test(start_paused = true)]
async fn a_greedy_flow_stands_in_its_own_way() {
    let long = Queuing { queues: 64, hand_size: 1, length: 100 };
    let (seats, env) = seats(&[level("a", 1, Some(long)), level("b", 599, None)]);
    let held = full(&seats, &env, 0, 1).await;
    let served = Mutex::new(Vec::new());
    let ask = async |who: &'static str| {
        let seat = seats.take(&env, ticket(0, who)).await;
        assert!(seat.is_ok());
        lock(&served).push(who);
        env.sleep(Duration::from_millis(10)).await;
    };
    let release = async {
        env.sleep(Duration::from_millis(10)).await;
        drop(held);
    };
    let greedy = join_all((0..20).map(|_| ask("greedy")));
    let modest = async {
        env.sleep(Duration::from_millis(5)).await;
        join_all((0..3).map(|_| ask("modest"))).await;
    };
    tokio::join!(greedy, modest, release);
    let served = served.into_inner().unwrap();
    let last = served.iter().rposition(|who| *who == "modest").unwrap();
    assert!(last < 8, "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn what_one_does_not_use_another_may() {
    let lends = Shares { lendable: 100, borrowing: None, ..level("a", 300, None) };
    let borrows = Shares { borrowing: Some(50), ..level("b", 300, None) };
    let (seats, env) = seats(&[lends, borrows]);
    let borrowed = full(&seats, &env, 1, 450).await;
    // No more than it may, and no more than there are.
    assert_eq!(seats.take(&env, ticket(1, "")).await.err(), Some(Refusal::ConcurrencyLimit));
    let rest = full(&seats, &env, 0, 150).await;
    assert_eq!(seats.take(&env, ticket(0, "")).await.err(), Some(Refusal::ConcurrencyLimit));
    drop(borrowed);
    let more = full(&seats, &env, 0, 150).await;
    // What the other is sure of it does not lend.
    assert_eq!(seats.take(&env, ticket(0, "")).await.err(), Some(Refusal::ConcurrencyLimit));
    drop((rest, more));
    let state = seats.state();
    assert_eq!((state.executing, state.reserved), (0, 300));
}

#[tokio::test(start_paused = true)]
async fn a_larger_share_lets_those_in_that_wait() {
    let (seats, env) = seats(&[level("a", 0, Some(QUEUING)), level("b", 600, None)]);
    let mut waits = Box::pin(seats.take(&env, ticket(0, "x")));
    assert!(waits.as_mut().now_or_never().is_none());
    seats.configure(&[level("a", 1, Some(QUEUING)), level("b", 599, None)]);
    assert!(waits.await.is_ok());
    assert!(seats.text().contains("nominal_limit_seats{priority_level=\"a\"} 1\n"));
    seats.configure(&[level("b", 599, None)]);
    assert!(!seats.text().contains("nominal_limit_seats{priority_level=\"a\"}"));
}

#[test]
fn a_hand_has_no_card_twice() {
    for entropy in (0..5_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
        let mut hand = deal(entropy, 8, 6);
        hand.sort_unstable();
        hand.dedup();
        assert!(hand.len() == 6 && hand.iter().all(|card| *card < 8), "{hand:?}");
    }
}
