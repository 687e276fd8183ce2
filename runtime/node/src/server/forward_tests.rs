//! Ports over SPDY, to a listener of this process.

use tokio::net::TcpListener;

use super::spdy::client::{Client, data};
use super::spdy::{Frame, Reset};
use super::*;

/// A pod that answers each connection in capitals, and hangs up when it has read all.
async fn pod(listener: &TcpListener) {
    let answer = async |mut stream: TcpStream| {
        let mut read = String::new();
        stream.read_to_string(&mut read).await.unwrap();
        stream.write_all(read.to_uppercase().as_bytes()).await.unwrap();
    };
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = open.next() => {}
            accepted = listener.accept() => open.push(answer(accepted.unwrap().0)),
        }
    }
}

#[tokio::test]
async fn connections_go_side_by_side_each_over_two_streams() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port().to_string();
    let to = Target { ip: "127.0.0.1".parse().unwrap(), pod: "pod p, uid u".to_owned() };
    let (mut client, theirs) = Client::new();
    let asked = async {
        let headers = |type_, port, request| [("streamtype", type_), ("port", port), ("requestid", request)];
        // The first stays open while the second comes and goes, its streams in the other order.
        client.open(1, headers("error", &port, "0")).await;
        client.open(3, headers("data", &port, "0")).await;
        client.open(5, headers("data", &port, "1")).await;
        client.open(7, headers("error", &port, "1")).await;
        client.send(data(3, false, "first")).await;
        client.send(data(5, true, "second")).await;
        assert_eq!(client.read([5, 7]).await, ["SECOND", ""]);
        client.send(data(3, true, " of all")).await;
        assert_eq!(client.read([3, 1]).await, ["FIRST OF ALL", ""]);
        client.open(9, headers("error", &closed, "2")).await;
        client.open(11, headers("data", &closed, "2")).await;
        let [error, nothing] = client.read([9, 11]).await;
        let expected = format!(
            "error forwarding port {closed} to pod p, uid u: dial tcp 127.0.0.1:{closed}: connect: connection refused"
        );
        assert_eq!((error, nothing.as_str()), (expected, ""));
        // Without numbers, as the oldest clients: an error stream and the one after it.
        client.open(13, [("streamtype", "error"), ("port", &port)]).await;
        client.open(15, [("streamtype", "data"), ("port", &port)]).await;
        client.reset(15).await;
        assert_eq!(client.read([13]).await, [""]);
        client.open(17, headers("data", "0", "3")).await;
        let refused = Frame::RstStream { stream: 17, why: Reset::RefusedStream };
        assert_eq!(client.next().await, Some(refused));
        drop(client);
    };
    tokio::select! {
        () = pod(&listener) => {}
        ((), ()) = async { tokio::join!(streams(&to, theirs), asked) } => {}
    }
}

#[test]
fn ports_are_read_or_refused_by_name() {
    let read = |query| ports(&Query::parse(query)).map_err(|error| error.to_string());
    assert_eq!(read("ports=80,81&ports=82"), Ok(vec![80, 81, 82]));
    for (query, said) in [("", "is required"), ("ports=x", "\"x\""), ("ports=80,0", "must be > 0")] {
        let error = read(query).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    let many = vec!["1"; MAX_PORTS + 1].join(",");
    assert!(read(&format!("ports={many}")).is_err());
}
