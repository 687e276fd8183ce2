//! From a question and the zone to an answer. Pure.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::zone::{Data, Found, Zone};

/// How long an answer may be remembered, in seconds; also for what does not exist.
const TTL: u32 = 30;
/// The largest answer over UDP that passes every network unbroken (DNS flag day 2020), in bytes.
const UDP_LIMIT: u16 = 1232;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// This is the answer.
    Done(Message),
    /// Somebody else answers.
    Forward,
    /// The answer so far leads to a name that somebody else answers for.
    Follow(Message, Query),
}

/// Answers `request`. `turn` rotates the records of a name, so that clients that take the first
/// are spread over all.
pub(crate) fn answer(zone: &Zone, request: &Message, turn: usize) -> Reply {
    if request.metadata.op_code != OpCode::Query {
        return Reply::Done(failure(request, ResponseCode::NotImp));
    }
    let [query] = request.queries.as_slice() else {
        return Reply::Done(failure(request, ResponseCode::FormErr));
    };
    if query.query_class() != DNSClass::IN {
        return Reply::Done(failure(request, ResponseCode::Refused));
    }
    let mut response = respond(request);
    response.metadata.authoritative = true;
    match zone.find(&query.name().to_lowercase().to_ascii()) {
        Found::Elsewhere => return Reply::Forward,
        Found::Pod(ip) => add(&mut response, zone, query, &[Data::A(ip)], turn),
        Found::Name(records) => add(&mut response, zone, query, records, turn),
        Found::Nothing => response.metadata.response_code = ResponseCode::NXDomain,
    }
    if let Some(target) = alias(&response, query) {
        return Reply::Follow(response, Query::query(target, query.query_type()));
    }
    if response.answers.is_empty() {
        response.add_authority(authority(zone));
    }
    Reply::Done(response)
}

/// An answer that only says what went wrong.
pub(crate) fn failure(request: &Message, code: ResponseCode) -> Message {
    let mut response = respond(request);
    response.metadata.response_code = code;
    response
}

/// The bytes of an answer over UDP, without its records when they are more than the client takes:
/// it then asks again over TCP.
pub(crate) fn to_datagram(request: &Message, response: &Message) -> Option<Vec<u8>> {
    let bytes = response.to_vec().ok()?;
    let limit = request.max_payload().min(UDP_LIMIT);
    if bytes.len() <= usize::from(limit) { Some(bytes) } else { response.truncate().to_vec().ok() }
}

fn respond(request: &Message) -> Message {
    let mut response = Message::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
    response.metadata.recursion_desired = request.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.add_queries(request.queries.iter().cloned());
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_LIMIT);
        response.set_edns(edns);
    }
    response
}

fn add(response: &mut Message, zone: &Zone, query: &Query, records: &[Data], turn: usize) {
    let start = if records.is_empty() { 0 } else { turn % records.len() };
    let (front, back) = records.split_at(start);
    for data in back.iter().chain(front) {
        let Some(rdata) = rdata(data).filter(|rdata| is_wanted(rdata, query)) else { continue };
        response.add_answer(Record::from_rdata(query.name().clone(), TTL, rdata));
        // The addresses behind an SRV record save the client a second question.
        if let Data::Srv { target, .. } = data
            && let (Found::Name(behind), Ok(name)) = (zone.find(target), Name::from_ascii(target))
        {
            let addresses = behind.iter().filter(|data| matches!(data, Data::A(_))).filter_map(rdata_of_a);
            response.add_additionals(addresses.map(|rdata| Record::from_rdata(name.clone(), TTL, rdata)));
        }
    }
}

fn rdata_of_a(data: &Data) -> Option<RData> {
    rdata(data)
}

fn is_wanted(rdata: &RData, query: &Query) -> bool {
    let wanted = query.query_type();
    wanted == RecordType::ANY || wanted == rdata.record_type() || matches!(rdata, RData::CNAME(_))
}

fn rdata(data: &Data) -> Option<RData> {
    Some(match data {
        Data::A(ip) => RData::A(A(*ip)),
        Data::Srv { port, target } => RData::SRV(SRV::new(0, 100, *port, Name::from_ascii(target).ok()?)),
        Data::Cname(target) => RData::CNAME(CNAME(Name::from_ascii(target).ok()?)),
        Data::Ptr(target) => RData::PTR(PTR(Name::from_ascii(target).ok()?)),
        Data::Txt(text) => RData::TXT(TXT::new(vec![text.clone()])),
    })
}

fn alias(response: &Message, query: &Query) -> Option<Name> {
    if matches!(query.query_type(), RecordType::CNAME | RecordType::ANY) {
        return None;
    }
    response.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) => Some(target.0.clone()),
        _ => None,
    })
}

fn authority(zone: &Zone) -> Record {
    let name = |prefix: &str| Name::from_ascii(format!("{prefix}{}", zone.domain())).unwrap_or_default();
    let soa = SOA::new(name("ns.dns."), name("hostmaster."), 1, 7200, 1800, 86400, TTL);
    Record::from_rdata(name(""), TTL, RData::SOA(soa))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::tests::{service, slice, snapshot};

    fn zone() -> Zone {
        let services = [
            service("web", json!({"clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80}]})),
            service("many", json!({"clusterIP": "None", "ports": [{"port": 80}]})),
            service("out", json!({"type": "ExternalName", "externalName": "example.com"})),
        ];
        let endpoints: Vec<_> = (1..=200).map(|n| json!({"addresses": [format!("10.244.0.{n}")]})).collect();
        Zone::new("cluster.local", &snapshot(&services, &[slice("many", json!([]), json!(endpoints))]))
    }

    fn request(name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    fn done(name: &str, kind: RecordType) -> Message {
        match answer(&zone(), &request(name, kind), 0) {
            Reply::Done(message) => message,
            other => panic!("not answered here: {other:?}"),
        }
    }

    #[test]
    fn letters_of_either_case_are_the_same() {
        let message = done("WEB.default.svc.Cluster.Local.", RecordType::A);
        assert_eq!(message.answers[0].data, RData::A(A("10.96.0.9".parse().unwrap())));
        assert_eq!((message.answers[0].ttl, message.metadata.authoritative), (30, true));
        assert_eq!(message.answers[0].name.to_ascii(), "WEB.default.svc.Cluster.Local.", "as it was asked");
    }

    #[test]
    fn no_data_and_no_name_carry_the_authority() {
        let check = |name: &str, kind: RecordType, code: ResponseCode| {
            let message = done(name, kind);
            assert_eq!((message.metadata.response_code, message.answers.len()), (code, 0), "{name}");
            assert_eq!(message.authorities[0].record_type(), RecordType::SOA);
        };
        check("web.default.svc.cluster.local.", RecordType::AAAA, ResponseCode::NoError);
        check("default.svc.cluster.local.", RecordType::A, ResponseCode::NoError);
        check("nope.default.svc.cluster.local.", RecordType::A, ResponseCode::NXDomain);
    }

    #[test]
    fn an_srv_record_brings_its_address() {
        let message = done("_http._tcp.web.default.svc.cluster.local.", RecordType::SRV);
        assert!(matches!(&message.answers[0].data, RData::SRV(srv) if srv.port == 80));
        assert_eq!(message.additionals[0].data, RData::A(A("10.96.0.9".parse().unwrap())));
    }

    #[test]
    fn aliases_are_followed_and_other_names_forwarded() {
        let asked = request("out.default.svc.cluster.local.", RecordType::A);
        let Reply::Follow(so_far, next) = answer(&zone(), &asked, 0) else { panic!("an alias") };
        assert_eq!((so_far.answers.len(), next.name().to_ascii()), (1, "example.com.".to_owned()));
        assert!(matches!(answer(&zone(), &request("example.com.", RecordType::A), 0), Reply::Forward));
    }

    #[test]
    fn addresses_take_turns_and_too_many_for_udp_are_truncated() {
        let asked = request("many.default.svc.cluster.local.", RecordType::A);
        let first = |turn: usize| match answer(&zone(), &asked, turn) {
            Reply::Done(message) => (message.answers[0].data.clone(), message),
            other => panic!("{other:?}"),
        };
        assert_ne!(first(0).0, first(1).0);
        let whole = first(0).1;
        assert_eq!(whole.answers.len(), 200);
        let datagram = Message::from_vec(&to_datagram(&asked, &whole).unwrap()).unwrap();
        assert!(datagram.metadata.truncation && datagram.answers.is_empty());
    }
}
