//! The gRPC contract: both payload forms, rich errors, reflection, health.

use agent_debugger::proto::{self, events_response::Frame, trace_request::Payload};
use prost_types::{Struct, Value, value::Kind};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{TestServer, frame_until, soon, trace_request};

fn number(value: f64) -> Value {
    Value { kind: Some(Kind::NumberValue(value)) }
}

async fn recorded(server: &TestServer, request: proto::TraceRequest) -> proto::Event {
    let mut client = server.grpc().await;
    let seq = client.trace(request).await.unwrap().into_inner().seq;
    let observe =
        proto::EventsRequest { agent_id: "a".into(), mode: proto::Mode::Observe.into(), ..Default::default() };
    let mut stream = client.events(observe).await.unwrap().into_inner();
    match frame_until(&mut stream, |frame| matches!(frame, Frame::Event(event) if event.seq == seq)).await.frame {
        Some(Frame::Event(event)) => event,
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn a_payload_goes_back_in_the_form_in_which_it_came() {
    let server = TestServer::start().await;
    let text = r#"{"big":123456789012345678901234567890,"f":1.50}"#;
    let event = recorded(&server, trace_request("a", proto::EventType::Log, text)).await;
    assert_eq!(event.payload, Some(proto::event::Payload::DataJson(text.into())));

    let data = Struct { fields: [("n".to_owned(), number(1.5)), ("whole".to_owned(), number(3.0))].into() };
    let mut request = trace_request("a", proto::EventType::Log, "");
    request.payload = Some(Payload::Data(data.clone()));
    let event = recorded(&server, request).await;
    assert_eq!(event.payload, Some(proto::event::Payload::Data(data)));
    let frames = server.get("a", "trace").await;
    assert_eq!(frames["events"][1]["data"].to_string(), r#"{"n":1.5,"whole":3}"#);
}

#[tokio::test]
async fn a_payload_of_three_and_a_half_mebibytes_fits_and_no_more() {
    let server = TestServer::start().await;
    let overhead = r#"{"x":""}"#.len();
    let payload = |bytes: usize| format!(r#"{{"x":"{}"}}"#, "y".repeat(bytes - overhead));
    let full = payload(3_670_016);
    let event = recorded(&server, trace_request("a", proto::EventType::Log, &full)).await;
    assert_eq!(event.payload, Some(proto::event::Payload::DataJson(full)));
    let over = trace_request("a", proto::EventType::Log, &payload(3_670_017));
    let refused = server.grpc().await.trace(over).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("data "), "{}", refused.message());
}

#[tokio::test]
async fn depth_is_bounded_in_both_forms() {
    let server = TestServer::start().await;
    let mut client = server.grpc().await;
    let nested = |depth: usize| format!("{}{{}}{}", "{\"a\":".repeat(depth - 1), "}".repeat(depth - 1));
    client.trace(trace_request("a", proto::EventType::Log, &nested(64))).await.unwrap();
    let refused = client.trace(trace_request("a", proto::EventType::Log, &nested(65))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);

    let deep = |depth: usize| {
        (1..depth).fold(Struct::default(), |inner, _| Struct {
            fields: [("a".to_owned(), Value { kind: Some(Kind::StructValue(inner)) })].into(),
        })
    };
    let with = |data| proto::TraceRequest {
        payload: Some(Payload::Data(data)),
        ..trace_request("a", proto::EventType::Log, "")
    };
    client.trace(with(deep(30))).await.unwrap();
    let refused = client.trace(with(deep(60))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
}

#[tokio::test]
async fn every_error_carries_its_reason_and_a_field_where_one_is_at_fault() {
    let server = TestServer::start().await;
    let mut client = server.grpc().await;
    let log = || trace_request("a", proto::EventType::Log, "{}");
    let nan = Struct { fields: [("n".to_owned(), number(f64::NAN))].into() };
    for (request, field) in [
        (proto::TraceRequest { agent_id: String::new(), ..log() }, "agent_id"),
        (proto::TraceRequest { agent_id: "a/b".into(), ..log() }, "agent_id"),
        (proto::TraceRequest { r#type: 0, ..log() }, "type"),
        (proto::TraceRequest { r#type: 99, ..log() }, "type"),
        (trace_request("a", proto::EventType::Log, "[]"), "data"),
        (trace_request("a", proto::EventType::Log, "{"), "data"),
        (proto::TraceRequest { payload: Some(Payload::Data(nan)), ..log() }, "data"),
        (proto::TraceRequest { run_id: "x".repeat(201), ..log() }, "run_id"),
        (proto::TraceRequest { accepts: vec![0], ..log() }, "accepts"),
        (proto::TraceRequest { hold: 9, ..log() }, "hold"),
        (
            proto::TraceRequest { hold_timeout: Some(prost_types::Duration { seconds: -1, nanos: 0 }), ..log() },
            "hold_timeout",
        ),
        (
            proto::TraceRequest { start_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), ..log() },
            "start_time",
        ),
    ] {
        let status = client.trace(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.domain.as_str(), info.reason.as_str()), ("agent-debugger", "INVALID_FIELD"));
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
    }
    let release = proto::ReleaseRequest {
        agent_id: "a".into(),
        seq: 7,
        action: Some(proto::release_request::Action::Proceed(proto::Proceed {})),
    };
    let status = client.release(release).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "NOT_HELD");
}

#[tokio::test]
async fn requests_are_taken_compressed() {
    use tonic::codec::CompressionEncoding::{Gzip, Zstd};
    let server = TestServer::start().await;
    for encoding in [Gzip, Zstd] {
        let mut client = server.grpc().await.send_compressed(encoding);
        client.trace(trace_request("a", proto::EventType::Log, "{}")).await.unwrap();
    }
}

#[tokio::test]
async fn health_says_serving_for_the_server_and_the_service() {
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
    let server = TestServer::start().await;
    let channel = tonic::transport::Endpoint::new(server.url.clone()).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    for service in ["", "agent_debugger.v1.DebuggerService"] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }
}

#[tokio::test]
async fn reflection_serves_the_contract_in_both_versions() {
    use tonic_reflection::pb::{v1, v1alpha};
    let server = TestServer::start().await;
    let channel = tonic::transport::Endpoint::new(server.url.clone()).unwrap().connect().await.unwrap();

    let ask = v1::ServerReflectionRequest {
        message_request: Some(v1::server_reflection_request::MessageRequest::FileContainingSymbol(
            "agent_debugger.v1.DebuggerService".into(),
        )),
        ..Default::default()
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let answer = soon("the descriptor", answers.next()).await.unwrap().unwrap();
    let Some(v1::server_reflection_response::MessageResponse::FileDescriptorResponse(files)) = answer.message_response
    else {
        panic!("a descriptor")
    };
    let text = String::from_utf8_lossy(&files.file_descriptor_proto[0]).into_owned();
    assert!(text.contains("Records one step of an agent"), "comments come along");

    let ask = v1alpha::ServerReflectionRequest {
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let answer = soon("the list", answers.next()).await.unwrap().unwrap();
    let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("a list")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["agent_debugger.v1.DebuggerService", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|got| got == name), "{names:?}");
    }
}
