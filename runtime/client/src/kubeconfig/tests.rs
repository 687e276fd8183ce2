use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::error::root_cause;

/// A kubeconfig of one cluster and one user.
fn of(cluster: &Value, user: &Value) -> Kubeconfig {
    let config = json!({
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    });
    serde_json::from_value(config).unwrap()
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    (listener, server)
}

/// The head of a request, in small letters, which is answered with `code`.
async fn answer(mut stream: TcpStream, code: u16) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let answer = format!("HTTP/1.1 {code} Told\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(head).unwrap().to_lowercase()
}

async fn read(stream: &mut TcpStream, length: u8) -> Vec<u8> {
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// The heads of as many requests as there are codes.
async fn answers(listener: &TcpListener, codes: &[u16]) -> Vec<String> {
    let mut heads = Vec::new();
    for code in codes {
        heads.push(answer(listener.accept().await.unwrap().0, *code).await);
    }
    heads
}

/// The values of a header, in the order in which they are sent.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

#[test]
fn merging_never_overwrites_and_keeps_what_it_does_not_know() {
    let theirs = "apiVersion: v1\nkind: Config\ncurrent-context: theirs\npreferences: {colors: true}\nclusters:\n- name: \
                  theirs\n  cluster: {server: https://a, tls-server-name: b}\nusers:\n- name: theirs\n  user: {exec: \
                  {command: c}}\ncontexts:\n- name: theirs\n  context: {cluster: theirs, user: theirs}\n";
    let mut config: Kubeconfig = serde_yaml::from_str(theirs).unwrap();
    config.merge(Kubeconfig::single("trimtab", "https://127.0.0.1:6443", "ca", "cert", "key"));
    let back: Value = serde_yaml::from_str(&config.to_yaml()).unwrap();
    assert_eq!(back["current-context"], "theirs");
    assert_eq!(back["clusters"][0]["cluster"]["tls-server-name"], "b");
    assert_eq!(back["users"][0]["user"]["exec"]["command"], "c");
    assert_eq!(back["preferences"]["colors"], true);
    assert_eq!(back["contexts"][1]["name"], "trimtab");
    assert_eq!(back["users"][1]["user"]["client-key-data"], STANDARD.encode("key"));
}

#[test]
fn what_is_null_is_empty() {
    let emptied = "apiVersion: v1\nclusters: null\ncontexts: null\ncurrent-context: ''\nkind: Config\npreferences: \
                   {}\nusers: null\n";
    let mut config: Kubeconfig = serde_yaml::from_str(emptied).unwrap();
    assert!(config.clusters.is_empty() && config.contexts.is_empty() && config.users.is_empty());
    config.merge(Kubeconfig::single("trimtab", "https://127.0.0.1:6443", "ca", "cert", "key"));
    assert_eq!(config.place(None).unwrap().1.entry.cluster.server, "https://127.0.0.1:6443");
    let within = "clusters:\n- {name: a, cluster: {server: null, extensions: null}}\n- {name: b, cluster: null}\n\
                  contexts:\n- {name: a, context: {cluster: a, user: null, namespace: null}}\nusers:\n- {name: a, user: \
                  null}\n- {name: b}\n";
    let config: Kubeconfig = serde_yaml::from_str(within).unwrap();
    assert_eq!((config.clusters.len(), config.users.len()), (2, 2));
    assert_eq!(config.namespace(Some("a")).unwrap(), None);
}

#[test]
fn answers_are_compressed_on_their_way_to_another_machine_alone() {
    for (server, uncompressed) in [
        ("https://127.0.0.1:6443", true),
        ("https://127.8.0.1", true),
        ("https://[::1]:6443", true),
        ("https://localhost:6443", true),
        ("https://10.0.0.1:6443", false),
        ("https://[fd00::1]:6443", false),
        ("https://localhost.example.com", false),
        ("127.0.0.1", true),
        ("", false),
    ] {
        let config = Kubeconfig::single("trimtab", server, "ca", "cert", "key");
        let config: Value = serde_yaml::from_str(&config.to_yaml()).unwrap();
        let written = &config["clusters"][0]["cluster"]["disable-compression"];
        assert_eq!(*written == true, uncompressed, "{server}");
        assert_eq!(written.is_null(), !uncompressed, "{server}");
    }
}

#[test]
fn a_pods_service_account_is_a_context() {
    let dir = Path::new("/run/account");
    let config = Kubeconfig::of_service_account("fd00::1", "443", dir);
    let (context, cluster) = config.place(None).unwrap();
    assert_eq!((cluster.entry.cluster.server.as_str(), context.namespace.as_deref()), ("https://[fd00::1]:443", None));
    assert_eq!(config.users[0].entry.user.token_file.as_deref(), Some(Path::new("/run/account/token")));
    assert_eq!(config.client(None).err().unwrap().to_string(), "could not read /run/account/token");
}

#[test]
fn a_pods_service_account_stands_for_a_kubeconfig_that_says_nothing() {
    let dir = folder("account");
    std::fs::write(dir.join("namespace"), "shop\n").unwrap();
    let in_cluster = || Some(Kubeconfig::of_service_account("10.96.0.1", "443", &dir));
    let found = Kubeconfig::default().or_else(in_cluster);
    assert_eq!(found.namespace(None).unwrap(), Some("shop"));
    assert_eq!(found.place(None).unwrap().1.entry.cluster.server, "https://10.96.0.1:443");
    let own = Kubeconfig::single("own", "https://127.0.0.1:6443", "ca", "cert", "key").or_else(in_cluster);
    assert_eq!(own.current_context.as_deref(), Some("own"));
    assert!(Kubeconfig::default().or_else(|| None).contexts.is_empty());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_missing_context_is_named() {
    let error = Kubeconfig::default().client(Some("nope")).err().unwrap();
    assert_eq!(error.to_string(), "the kubeconfig has no context named \"nope\"");
}

#[tokio::test]
async fn a_user_may_have_a_password_and_act_as_another() {
    let (listener, server) = listen().await;
    let extra = json!({"scopes": ["view", "edit"], "acme.com/project": ["p"]});
    let user = json!({
        "username": "me", "password": "secret",
        "as": "jane@example.com", "as-uid": "7", "as-groups": ["a", "b"], "as-user-extra": extra,
    });
    let client = of(&json!({"server": server}), &user).client(None).unwrap();
    let (text, heads) = tokio::join!(client.text("/a"), answers(&listener, &[200]));
    assert_eq!(text.unwrap(), "{}");
    let head = heads[0].as_str();
    assert_eq!(values(head, "authorization"), [format!("basic {}", STANDARD.encode("me:secret")).to_lowercase()]);
    assert_eq!(values(head, "impersonate-user"), ["jane@example.com"]);
    assert_eq!(values(head, "impersonate-uid"), ["7"]);
    assert_eq!(values(head, "impersonate-group"), ["a", "b"]);
    assert_eq!(values(head, "impersonate-extra-scopes"), ["view", "edit"]);
    assert_eq!(values(head, "impersonate-extra-acme.com%2fproject"), ["p"]);
}

/// A plugin that counts its runs in the file `runs` of `dir`; its tokens are `t1`, `t2` and so on.
fn plugin(dir: &Path, more: &Value) -> Value {
    let script = r#"echo run >> "$DIR/runs"; printf '%s' "$KUBERNETES_EXEC_INFO" > "$DIR/info"
printf '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t%s"%s}}' \
    "$(grep -c run "$DIR/runs")" "$1""#;
    let mut exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", script, "plugin"],
        "env": [{"name": "DIR", "value": dir}],
        "interactiveMode": "Never",
    });
    exec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    exec
}

/// An empty folder for the test called `name`.
fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("trimtab-kubeconfig-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir(&dir).unwrap();
    dir
}

#[tokio::test]
async fn a_plugins_token_is_kept_until_it_is_refused() {
    let ((listener, server), dir) = (listen().await, folder("refused"));
    let extensions = json!([{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}]);
    let cluster = json!({"server": server, "certificate-authority-data": "Y2E=", "extensions": extensions});
    let exec = plugin(&dir, &json!({"provideClusterInfo": true}));
    let client = of(&cluster, &json!({"exec": exec})).client(None).unwrap();
    assert!(!dir.join("runs").exists(), "nothing is run before it is needed");
    let asked = async {
        for (nth, is_let_in) in [true, true, true, false].into_iter().enumerate() {
            assert_eq!(client.text("/a").await.is_ok(), is_let_in, "request {nth}");
        }
    };
    let ((), heads) = tokio::join!(asked, answers(&listener, &[200, 200, 401, 200, 401, 401]));
    let shown: Vec<_> = heads.iter().flat_map(|head| values(head, "authorization")).collect();
    assert_eq!(shown, ["bearer t1", "bearer t1", "bearer t1", "bearer t2", "bearer t2", "bearer t3"]);
    let info: Value = serde_json::from_str(&std::fs::read_to_string(dir.join("info")).unwrap()).unwrap();
    let told = json!({"server": server, "certificate-authority-data": "Y2E=", "config": {"audience": "a"}});
    let expected = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "spec": {"interactive": false, "cluster": told},
    });
    assert_eq!(info, expected);
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_plugins_token_is_not_used_when_it_has_expired() {
    let ((listener, server), dir) = (listen().await, folder("expired"));
    for (expires, shown) in [
        ("2018-03-05T17:30:20-08:00", ["bearer t1", "bearer t2"]),
        ("2999-03-05T17:30:20Z", ["bearer t3", "bearer t3"]),
    ] {
        let mut exec = plugin(&dir, &json!({}));
        let expiry = format!(", \"expirationTimestamp\": \"{expires}\"");
        exec["args"].as_array_mut().unwrap().push(expiry.into());
        let client = of(&json!({"server": server}), &json!({"exec": exec})).client(None).unwrap();
        let asked = async { (client.text("/a").await.unwrap(), client.text("/b").await.unwrap()) };
        let (_, heads) = tokio::join!(asked, answers(&listener, &[200, 200]));
        assert_eq!(heads.iter().flat_map(|head| values(head, "authorization")).collect::<Vec<_>>(), shown);
    }
    // What the file itself says goes before.
    let user = json!({"exec": plugin(&dir, &json!({})), "token": "own"});
    let client = of(&json!({"server": server}), &user).client(None).unwrap();
    let (text, heads) = tokio::join!(client.text("/a"), answers(&listener, &[200]));
    assert!(text.is_ok() && values(&heads[0], "authorization") == ["bearer own"], "{heads:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_plugin_is_told() {
    let dir = folder("wrong");
    let check = async |exec: Value, expected: &str| {
        let client = of(&json!({"server": "http://127.0.0.1:1"}), &json!({"exec": exec})).client(None).unwrap();
        let error = root_cause(&client.text("/a").await.unwrap_err());
        assert_eq!(error, format!("getting credentials: exec: executable {expected}"));
    };
    let missing = json!({"command": "trimtab-no-such-program", "installHint": "Ask for it."});
    check(plugin(&dir, &missing), "trimtab-no-such-program not found\n\nAsk for it.").await;
    check(plugin(&dir, &json!({"args": ["-c", "exit 3"]})), "sh failed with exit status: 3").await;
    let version = "sh answers in version \"client.authentication.k8s.io/v1\" what was asked in \
                   \"client.authentication.k8s.io/v1beta1\"";
    check(plugin(&dir, &json!({"apiVersion": "client.authentication.k8s.io/v1beta1"})), version).await;
    let prints = |status: &str| {
        let told = format!("{{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"status\": {status}}}");
        plugin(&dir, &json!({"command": "echo", "args": [told]}))
    };
    check(prints("{}"), "echo gives neither a token nor a certificate").await;
    let half = "echo gives a certificate without its key, or a key alone";
    check(prints("{\"token\": \"t\", \"clientKeyData\": \"k\"}"), half).await;
    // A path is relative to the file that names it.
    let (path, exec) = (dir.join("config"), plugin(&dir, &json!({"command": "./missing"})));
    std::fs::write(&path, of(&json!({"server": "http://127.0.0.1:1"}), &json!({"exec": exec})).to_yaml()).unwrap();
    let client = Kubeconfig::read(&path).unwrap().client(None).unwrap();
    let error = root_cause(&client.text("/a").await.unwrap_err());
    assert!(error.ends_with(&format!("{}/./missing not found", dir.display())), "{error}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_cannot_be_done_is_refused_by_the_fields_name() {
    let dir = folder("refusals");
    let path = dir.join("config");
    let check = |cluster: Value, user: Value, expected: &str| {
        std::fs::write(&path, of(&cluster, &user).to_yaml()).unwrap();
        let error = Kubeconfig::read(&path).unwrap().client(None).err().unwrap();
        assert_eq!(error.to_string(), format!("{}: {expected}", path.display()));
    };
    let server = json!({"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": true});
    let with = |field: &str, value: &str| {
        let mut cluster = server.clone();
        cluster[field] = value.into();
        cluster
    };
    let user = |field: &str, value: Value| {
        let mut user = json!({});
        user[field] = value;
        user
    };
    let refused = |user: Value, expected: &str| check(server.clone(), user, expected);
    let provider = "user.auth-provider of \"u\" is not supported any more, as by kubectl; user.exec is";
    refused(user("auth-provider", json!({"name": "gcp"})), provider);
    refused(user("as-groups", json!(["a"])), "user.as-groups of \"u\" needs user.as, the user to act as");
    refused(user("as", json!("a\nb")), "user.as of \"u\" holds what no HTTP header can");
    let both = json!({"token": "t", "username": "n"});
    refused(both, "user.username of \"u\" goes with no token: only one of them can be shown");
    let lonely = user("client-certificate-data", json!("Y2E="));
    refused(lonely, "user.client-certificate of \"u\" needs its user.client-key");
    let exec = |exec: Value| user("exec", exec);
    let unspecified = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "c"});
    refused(exec(unspecified), "user.exec.interactiveMode of \"u\" must be specified");
    let nothing = json!({"apiVersion": "client.authentication.k8s.io/v1beta1", "args": null, "env": null});
    refused(exec(nothing), "user.exec.command of \"u\" must be specified");
    let old = json!({"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "c"});
    let versions = "user.exec.apiVersion of \"u\" is \"client.authentication.k8s.io/v1alpha1\"; \
                    client.authentication.k8s.io/v1 and client.authentication.k8s.io/v1beta1 are supported";
    refused(exec(old), versions);
    let of_server = |cluster: Value, expected: &str| check(cluster, json!({}), expected);
    let scheme = "cluster.proxy-url of \"c\" begins with \"ftp\"; http, https and socks5 are supported";
    of_server(with("proxy-url", "ftp://a"), scheme);
    let address = "cluster.tls-server-name of \"c\" (\"10.0.0.2\") is no host name, which alone is supported";
    of_server(with("tls-server-name", "10.0.0.2"), address);
    let mut proxied = with("tls-server-name", "a.example");
    proxied["proxy-url"] = json!("http://b");
    of_server(proxied, "cluster.tls-server-name of \"c\" is not supported with a proxy");
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_proxy_leads_to_the_server() {
    let (listener, proxy) = listen().await;
    let by = |proxy: &str, server: &str| {
        let cluster = json!({"server": server, "proxy-url": proxy, "insecure-skip-tls-verify": true});
        of(&cluster, &json!({"token": "t"})).client(None).unwrap()
    };
    let client = by(&proxy, "http://cluster.invalid:6443");
    let (text, heads) = tokio::join!(client.text("/a"), answers(&listener, &[200]));
    assert!(text.is_ok() && heads[0].starts_with("get http://cluster.invalid:6443/a http/1.1"), "{text:?} {heads:?}");
    let client = by(&proxy, "https://cluster.invalid:6443");
    let (text, heads) = tokio::join!(client.text("/a"), answers(&listener, &[403]));
    assert!(text.is_err() && heads[0].starts_with("connect cluster.invalid:6443 http/1.1"), "{text:?} {heads:?}");
    assert!(values(&heads[0], "authorization").is_empty(), "the proxy is not shown the token");

    let client = by(&proxy.replace("http:", "socks5:"), "http://cluster.invalid:6443");
    let socks = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let methods = read(&mut stream, 2).await[1];
        read(&mut stream, methods).await;
        stream.write_all(&[5, 0]).await.unwrap();
        let asked = read(&mut stream, 5).await;
        let name = read(&mut stream, asked[4]).await;
        read(&mut stream, 2).await;
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        (asked[3], String::from_utf8(name).unwrap(), answer(stream, 200).await)
    };
    let (text, (kind, name, head)) = tokio::join!(client.text("/a"), socks);
    assert_eq!((text.unwrap().as_str(), kind, name.as_str()), ("{}", 3, "cluster.invalid"), "the proxy looks it up");
    assert!(head.starts_with("get /a http/1.1"), "{head}");
}
