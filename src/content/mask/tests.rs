//! What is masked and what is not, case by case; and what holds for every text.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn in_json(value: &Json) -> String {
    let before = value.to_string();
    super::json(&before, &mut Masked::new()).unwrap_or(before)
}

fn in_text(before: &str) -> String {
    super::text(before, &mut Masked::new()).unwrap_or_else(|| before.to_owned())
}

#[test]
fn secrets_go_by_their_key_and_everything_else_stays() {
    let before = r#"{"headers": {"Authorization":"abc", "x-api-key" : "k1"},"n":1.50,"token_count":5,"apiKey":12,"secretary":"no","password":null}"#;
    let mut masked = Masked::new();
    let after = super::json(before, &mut masked).expect("secrets");
    let expected = r#"{"headers": {"Authorization":"[masked: authorization]", "x-api-key" : "[masked: api_key]"},"n":1.50,"token_count":5,"apiKey":"[masked: api_key]","secretary":"no","password":null}"#;
    assert_eq!(after, expected);
    assert_eq!(masked, Masked::from([("authorization".into(), 1), ("api_key".into(), 2)]));
    assert_eq!(super::json(expected, &mut Masked::new()), None, "once is enough");
}

#[test]
fn secrets_go_by_their_look_wherever_they_stand() {
    let long = |prefix: &str, length: usize| format!("{prefix}{}", "a1B2c3D4e5".repeat(8).split_at(length).0);
    let hex = |prefix: &str, length: usize| format!("{prefix}{}", "0a1b2c3d4e5f".repeat(8).split_at(length).0);
    for (secret, rule) in [
        ("sk-abcdefghijklmnop1234".to_owned(), "api_key"),
        (long("sk-proj-", 48), "api_key"),
        (long("sk-ant-api03-", 60), "api_key"),
        (long("sk_live_", 24), "api_key"),
        (long("rk_test_", 24), "api_key"),
        (long("AIza", 35), "api_key"),
        (long("gsk_", 52), "api_key"),
        (long("SG.", 22) + "." + &long("", 43), "api_key"),
        (hex("SK", 32), "api_key"),
        (hex("key-", 32), "api_key"),
        ("AKIAABCDEFGHIJKLMNOP".to_owned(), "access_key"),
        ("ASIAABCDEFGHIJKLMNOP".to_owned(), "access_key"),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(), "access_key"),
        ("Bearer abcdefghijklmnop.qrs".to_owned(), "authorization"),
        ("Basic dXNlcjpodW50ZXIy".to_owned(), "authorization"),
        ("postgres://user:hunter2@".to_owned(), "password"),
        ("redis://:hunter2@".to_owned(), "password"),
        ("https://user:p@ss:w@".to_owned(), "password"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln".to_owned(), "token"),
        (long("ghp_", 36), "token"),
        (long("gho_", 36), "token"),
        (long("github_pat_", 60), "token"),
        (long("glpat-", 20), "token"),
        (long("xoxb-123456789012-", 24), "token"),
        ("https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX".to_owned(), "token"),
        (long("hf_", 34), "token"),
        (long("npm_", 36), "token"),
        (long("pypi-AgEIcHlwaS5vcmc", 60), "token"),
        (long("ya29.", 40), "token"),
        (long("123456789:AA", 33), "token"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----".to_owned(), "private_key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\\nb3Bl\\n-----END OPENSSH PRIVATE KEY-----".to_owned(), "private_key"),
    ] {
        let bare = secret.strip_prefix("https://").filter(|bare| bare.starts_with("hooks")).unwrap_or(&secret);
        let after = in_text(&format!("use {secret} here"));
        assert!(!after.contains(bare) && after.contains(&format!("[masked: {rule}]")), "{after}");
        assert!(after.starts_with("use ") && after.ends_with(" here"), "{after}");
        for wrapped in [json!({ "text": secret }), json!([[secret]]), json!({ secret.clone(): 1 })] {
            let after = in_json(&wrapped);
            assert!(!after.contains(bare) && after.contains("[masked: "), "{after}");
        }
    }
}

#[test]
fn secrets_go_by_the_key_before_them_however_that_is_written() {
    // What must be gone is marked: everything else stays.
    for (before, after) in [
        ("DB_PASSWORD=«hunter2»", "DB_PASSWORD=[masked: password]"),
        ("a\nexport DB_PASSWORD=«h,u;n&ter2» \nb=1", "a\nexport DB_PASSWORD=[masked: password] \nb=1"),
        ("docker run -e API_KEY=«hunter2,» x", "docker run -e API_KEY=[masked: api_key] x"),
        ("X-Api-Key: «hunter2»", "X-Api-Key: [masked: api_key]"),
        ("GET /?api_key=«hunter2»&q=1 HTTP/1.1", "GET /?api_key=[masked: api_key]&q=1 HTTP/1.1"),
        ("/?q=1&access_token=«hunter2»#top", "/?q=1&access_token=[masked: token]#top"),
        ("/?key=«hunter2»&x=1", "/?key=[masked: api_key]&x=1"),
        ("/blob?sv=1&sig=«hun%2Bter2»", "/blob?sv=1&sig=[masked: signature]"),
        ("password%3D«hunter2»%26q", "password%3D[masked: password]%26q"),
        ("%7B%22password%22%3A%22«hunter2»%22%7D", "%7B%22password%22%3A%22[masked: password]%22%7D"),
        ("mysql --password=«hunter2» -h db", "mysql --password=[masked: password] -h db"),
        ("mysql --password «hunter2» -h db", "mysql --password [masked: password] -h db"),
        ("login --token '«hun ter2»' now", "login --token '[masked: token]' now"),
        ("Cookie: «sid=hunter2; theme=dark»\nHost: x", "Cookie: [masked: cookie]\nHost: x"),
        ("Set-Cookie: «sid=hunter2; Path=/»\r\n", "Set-Cookie: [masked: cookie]\r\n"),
        ("Authorization: «Basic hunter2»\nHost: x", "Authorization: [masked: authorization]\nHost: x"),
        ("authorization: «Token token=hunter2»", "authorization: [masked: authorization]"),
        ("curl -H 'Authorization: «Bearer hunter2»' x", "curl -H 'Authorization: [masked: authorization]' x"),
        ("Proxy-Authorization: «Digest hunter2»", "Proxy-Authorization: [masked: authorization]"),
        ("got {\"password\":\"«hun\\\"ter2»\",\"n\":1} back", "got {\"password\":\"[masked: password]\",\"n\":1} back"),
        ("got {'password': '«hunter2»', 'n': 1}", "got {'password': '[masked: password]', 'n': 1}"),
        ("b\"{\\\"password\\\":\\\"«hun\\\\\\\"ter2»\\\"}\"", "b\"{\\\"password\\\":\\\"[masked: password]\\\"}\""),
        (":password => \"«hunter2»\"", ":password => \"[masked: password]\""),
        ("password: «hunter2»\nuser: x", "password: [masked: password]\nuser: x"),
        ("login(user='x', password='«hunter2»')", "login(user='x', password='[masked: password]')"),
        ("get(url, auth=(«'x', 'hunter2'»))", "get(url, auth=([masked: authorization]))"),
        ("<password>«hunter2»</password>", "<password>[masked: password]</password>"),
        ("<add key=\"Password\" value=\"«hunter2»\"/>", "<add key=\"Password\" value=\"[masked: password]\"/>"),
        ("[('Authorization', '«Basic hunter2»')]", "[('Authorization', '[masked: authorization]')]"),
        (
            "{'name': 'Authorization', 'value': '«hunter2»'}",
            "{'name': 'Authorization', 'value': '[masked: authorization]'}",
        ),
        ("name=\"password\"\r\n\r\n«hunter2»\r\n--x", "name=\"password\"\r\n\r\n[masked: password]\r\n--x"),
        ("Server=db;Password=«hunter2»;Database=x", "Server=db;Password=[masked: password];Database=x"),
        ("Protocol=https;AccountKey=«hunter2==»;x", "Protocol=https;AccountKey=[masked: access_key];x"),
        ("curl -u user:«hunter2» https://x", "curl -u user:[masked: password] https://x"),
        ("secret: |\n  «hun ter2»\nn: 1", "secret: |\n  [masked: secret]\nn: 1"),
        ("API key: «hunter2»", "API key: [masked: api_key]"),
        ("&quot;password&quot;:&quot;«hunter2»&quot;", "&quot;password&quot;:&quot;[masked: password]&quot;"),
        ("IDENTIFIED WITH PASSWORD '«hunter2»'", "IDENTIFIED WITH PASSWORD '[masked: password]'"),
        ("os.environ[\"API_KEY\"] = \"«hunter2»\"", "os.environ[\"API_KEY\"] = \"[masked: api_key]\""),
        ("data: {\"token\":\"«hunter2»\"}\n\ndata: x", "data: {\"token\":\"[masked: token]\"}\n\ndata: x"),
        (
            "{\"a\":[[\"Cookie\",\"«hunter2»\"]]}\n{\"pwd\":«1234»}",
            "{\"a\":[[\"Cookie\",\"[masked: cookie]\"]]}\n{\"pwd\":\"[masked: password]\"}",
        ),
    ] {
        assert_eq!(in_text(&before.replace(['«', '»'], "")), after, "{before}");
        assert_eq!(in_text(after), after, "once is enough");
    }
}

#[test]
fn names_that_stand_beside_their_value_make_a_secret_of_it() {
    for value in [
        json!(["Authorization", "hunter2"]),
        json!({"headers": [["X-Api-Key", "hunter2"], ["Accept", "*/*"]]}),
        json!({"name": "Authorization", "value": "hunter2"}),
        json!([{"key": "db_password", "value": "hunter2"}]),
        json!({"Name": "DB_PASSWORD", "Value": "hunter2"}),
        json!({"key": "request.header.authorization", "value": {"stringValue": "hunter2"}}),
        json!({"value": {"deep": ["hunter2"]}, "header": "Cookie"}),
        json!({"rawHeaders": ["Host", "x", "Authorization", "hunter2", "Accept", "*/*"]}),
        json!({"argv": ["mysql", "--password", "hunter2", "-h", "db"]}),
        json!({"argv": ["mysql", "--password=hunter2"]}),
    ] {
        let after = in_json(&value);
        assert!(!after.contains("hunter2") && after.matches("[masked: ").count() == 1, "{after}");
        assert!(!value.to_string().contains("*/*") || after.contains("*/*"), "{after}");
    }
}

#[test]
fn json_in_a_string_is_looked_into_however_often_it_is_wrapped() {
    let mut value = json!({"password": "hunter2", "n": 1});
    for times in 1..=20 {
        value = json!({ "arguments": value.to_string() });
        if value.to_string().len() > 3_000_000 {
            break;
        }
        let after = in_json(&value);
        assert!(!after.contains("hunter2"), "{times} times");
        assert_eq!(after.contains("[masked: password]"), times <= MAX_WRAPPED as usize, "{times} times: {after:.300}");
    }
    let exact = r#"{"arguments":"{\"password\": \"hunter2\", \"n\" : 1.50, \"b\":\"\\u00e9\"}"}"#;
    let after = super::json(exact, &mut Masked::new()).expect("a secret");
    assert_eq!(after, r#"{"arguments":"{\"password\": \"[masked: password]\", \"n\" : 1.50, \"b\":\"\\u00e9\"}"}"#);
    let text = json!("{\"password\":\"hunter2\"}").to_string();
    assert!(!in_json(&json!({ "twice": text })).contains("hunter2"));
}

#[test]
fn half_a_surrogate_pair_hides_nothing() {
    for before in [
        r#"{"a":"\ud83d sk-abcdefghijklmnop1234"}"#,
        r#"{"a":"\ud83d \u0073k-abcdefghijklmnop1234"}"#,
        r#"{"\u0070assword":"\udc00x\\\"hunter2"}"#,
        r#"{"a":"{\"password\":\"hunter2\"}\ud83d"}"#,
        r#"{"pass\ud83d":"sk-abcdefghijklmnop1234"}"#,
        r#"{"sk-abcdefghijklmnop1234\ud83d":1}"#,
    ] {
        let after = super::json(before, &mut Masked::new()).expect(before);
        assert!(!after.contains("hunter2") && !after.contains("abcdefghijkl"), "{after}");
        assert!(Node::parse(&after).is_some(), "{after}");
    }
}

#[test]
fn keys_that_are_secrets_are_masked_and_stay_apart() {
    let before = r#"{"sk-abcdefghijklmnop1234" : {"ok":true}, "sk-abcdefghijklmnop5678":2, "plain":3}"#;
    let after = super::json(before, &mut Masked::new()).expect("secrets");
    assert_eq!(after, r#"{"[masked: api_key 1]" : {"ok":true}, "[masked: api_key 2]":2, "plain":3}"#);
    assert_eq!(super::json(&after, &mut Masked::new()), None, "once is enough");
}

#[test]
fn everything_below_a_secret_key_is_secret() {
    let after = in_json(&json!({"credentials": {"user": "u", "list": ["a", {"b": 2}], "on": true}}));
    assert_eq!(after.matches("[masked: credentials]").count(), 3, "{after}");
    assert!(after.contains("true"), "{after}");
}

#[test]
fn what_is_harmless_stays_as_it_is() {
    for value in [
        json!({"token_count": 5, "input_tokens": 7, "max_tokens": 4096, "tokens": 12, "usage": {"total_tokens": 9}}),
        json!({"author": "Jane", "tokenizer": "cl100k", "eos_token": "</s>", "next_page_token": "abc", "stop_tokens": ["x"]}),
        json!({"password": {"type": "string", "description": "to log in with"}, "session_id": "s-17", "pass": 3}),
        json!({"text": "a task-based ask, tokens: 12, max_tokens=100; the author: Jane, tokenizer: gpt2"}),
        json!({"text": "see https://example.com:8080/a@b and ftp://host/x:y@z, ssh://git@host/repo"}),
        json!({"text": "basic understanding of bearer authentication; risk-assessment-and-management-plan"}),
        json!({"sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709", "path": "/usr/share/doc/packages/reference/manual"}),
        json!({"uuid": "0f8fad5b-d9cb-469f-a165-70867728950e", "password": null, "secret": true, "cookie": ""}),
        json!({"text": "Token::new(), password: string, auth: none, {\"token_type\":\"bearer\"}, the password is wrong"}),
        json!({"key": "primary_key", "value": "id", "name": "tokenize", "content": "text"}),
        json!({"image": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"}),
    ] {
        assert_eq!(in_json(&value), value.to_string());
    }
}

#[test]
fn ids_are_masked_so_that_they_stay_apart_and_fit() {
    let masked = |text: &str| super::id(text, 200, &mut Masked::new());
    let (one, other) = (masked("run sk-abcdefghijklmnop1234"), masked("run sk-abcdefghijklmnop5678"));
    assert!(one.is_some() && one != other && one == masked("run sk-abcdefghijklmnop1234"));
    let one = one.expect("masked");
    assert!(one.starts_with("run [masked: api_key ") && masked(&one).is_none(), "{one}");
    let many = "?key=a&".repeat(28);
    let (id, label) = (masked(&many).expect("masked"), super::label(&many, 200, &mut Masked::new()).expect("masked"));
    assert!(id.len() <= 200 && label == "[masked: api_key]" && masked(&id).is_none(), "{id}");
    assert_eq!(masked("n12"), None);
}

#[test]
fn conditions_keep_what_they_ask_and_not_what_they_compare_with() {
    for (before, after) in [
        ("event.data.password == 'hunter2'", "event.data.password == '[masked: password]'"),
        ("event.data['api_key'].startsWith(\"hun\")", "event.data['api_key'].startsWith(\"[masked: api_key]\")"),
        ("\"hunter2\" == event.data.token", "\"[masked: token]\" == event.data.token"),
        (
            "event.data.password in ['hunter2', \"h'3\"]",
            "event.data.password in ['[masked: password]', \"[masked: password]\"]",
        ),
        (
            "event.data.password == 12345 && event.data.l[0].n2 > 1",
            "event.data.password == [masked: password] && event.data.l[0].n2 > [masked: password]",
        ),
        ("event.data.password == r'hunter2'", "[masked: password]"),
        ("event.data.text.contains('sk-abcdefghijklmnop1234')", "event.data.text.contains('[masked: api_key]')"),
        ("event.data.token_count > 5 && event.name == 'read'", "event.data.token_count > 5 && event.name == 'read'"),
        ("event.data.password == 'hun", "event.data.password == '[masked: password]'"),
    ] {
        let masked = expression(before, &mut Masked::new()).unwrap_or_else(|| before.to_owned());
        assert_eq!(masked, after);
    }
}

#[test]
fn large_texts_take_time_in_proportion_to_their_length() {
    let quick = std::time::Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });
    for part in [
        "auth:(",
        "-eyJ",
        "-sk-",
        "://",
        "<token>",
        "\"auth\":",
        "-----BEGIN PRIVATE KEY-----",
        "[\"",
        "{\"a\":[",
        "://a:",
        "key",
        "\\\"token\\\":\\\"",
        "pass: ",
        "eyJ.",
        "?key=",
        "token=(",
        "a1B2c3D4e5+",
    ] {
        let text = part.repeat(300_000 / part.len());
        let began = std::time::Instant::now();
        in_text(&text);
        assert!(began.elapsed() < quick, "{part}: {:?}", began.elapsed());
    }
}

/// JSON with a secret under one of several keys, some way down, and wrapped some times.
fn planted() -> impl Strategy<Value = Json> {
    let secret = || Just("pl4nted-secret".to_owned());
    let key = prop_oneof![Just("password"), Just("api-key"), Just("secretKey"), Just("DB_PASSWORD"), Just("cookie")];
    let text = prop_oneof![
        secret().prop_map(|secret| format!("X-Api-Key: {secret}\nAccept: x")),
        secret().prop_map(|secret| format!("say {{\"token\": \"{secret}\"}} twice")),
        secret().prop_map(|secret| format!("https://u:{secret}@host/?q=1")),
        secret().prop_map(|secret| format!("run --password {secret} now")),
        secret().prop_map(|secret| format!("sk-{secret}-0123456789")),
    ];
    let leaf = prop_oneof![
        (key.clone(), secret()).prop_map(|(key, secret)| json!({ key: secret })),
        (key.clone(), secret()).prop_map(|(key, secret)| json!([key, secret])),
        (key.clone(), secret()).prop_map(|(key, secret)| json!({"name": key, "value": secret})),
        (key, secret()).prop_map(|(key, secret)| json!({ key: {"deep": [secret, 1]} })),
        text.clone().prop_map(Json::from),
        text.prop_map(|text| json!({ text: 1 })),
    ];
    leaf.prop_recursive(6, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| json!({ "arguments": inner.to_string() })),
            inner.clone().prop_map(|inner| Json::from(format!("got: {inner}; going on"))),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|inner| json!({"list": inner, "q\"": "\u{1F600}\\"})),
            inner.prop_map(|inner| json!({"text": "é", "inner": inner, "n": 1.5})),
        ]
    })
}

proptest! {
    #[test]
    fn no_nesting_hides_a_secret_and_json_stays_json(value in planted()) {
        let after = in_json(&value);
        prop_assert!(!after.contains("pl4nted-secret"), "{}", after);
        prop_assert!(serde_json::from_str::<Json>(&after).is_ok(), "{}", after);
        prop_assert_eq!(super::json(&after, &mut Masked::new()), None, "once is enough: {}", after);
    }

    #[test]
    fn any_text_is_survived(text in "(?s)(pass|token|[\"'\\\\{}\\[\\]:=,&?<> \n-]|sk-|eyJ|://|@|é|%22|key|[a-z0-9]){0,60}") {
        let after = in_text(&text);
        prop_assert_eq!(in_text(&after), after.clone(), "{}", text);
        let wrapped = in_json(&json!({ "text": text.clone(), text: [1] }));
        prop_assert!(serde_json::from_str::<Json>(&wrapped).is_ok(), "{}", wrapped);
    }
}
