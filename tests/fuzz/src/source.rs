//! Choices drawn from a fuzzer's bytes, so that what is made of them is well formed far more often
//! than bytes are, and a small change of the bytes is a small change of it.

/// Bytes that are used up choice by choice. When none are left every choice is the first one, so
/// whatever is made ends.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    bytes: &'a [u8],
}

/// Texts that mean something to one decoder or another, which chance would hardly find.
const WORDS: [&str; 96] = [
    "",
    "a",
    "b",
    "c",
    "web",
    "x-1",
    "A",
    "-",
    ".",
    "a.b",
    "a/b",
    "/",
    "..",
    "/a/../b",
    "/dev",
    "app",
    "app.kubernetes.io/name",
    "kubernetes.io/tls",
    "Opaque",
    "kubernetes.io/dockerconfigjson",
    "default",
    "kube-system",
    "system:masters",
    "v1",
    "apps/v1",
    "Pod",
    "ConfigMap",
    "Service",
    "pods",
    "*",
    "get",
    "Always",
    "Never",
    "OnFailure",
    "IfNotPresent",
    "ClusterFirst",
    "Default",
    "None",
    "ClusterIP",
    "NodePort",
    "LoadBalancer",
    "ExternalName",
    "TCP",
    "UDP",
    "SCTP",
    "HTTP",
    "http",
    "https",
    "ClientIP",
    "Local",
    "Cluster",
    "IPv4",
    "IPv6",
    "SingleStack",
    "RequireDualStack",
    "10.96.0.1",
    "10.0.0.0/8",
    "::1",
    "fd00::/64",
    "256.0.0.1",
    "1",
    "-1",
    "0",
    "100m",
    "1Gi",
    "1e3",
    "1.5",
    "0.5n",
    "50%",
    "101%",
    "99999999999999999999",
    "In",
    "NotIn",
    "Exists",
    "DoesNotExist",
    "Equal",
    "NoSchedule",
    "NoExecute",
    "true",
    "false",
    "null",
    "RollingUpdate",
    "Recreate",
    "ReadWriteOnce",
    "Filesystem",
    "Allow",
    "Forbid",
    "*/5 * * * *",
    "@every 1h",
    "Europe/Berlin",
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.000001Z",
    "9999-12-31T23:59:59Z",
    "$(A)",
    "aGk=",
    "cpu",
];

/// Numbers near the edges of what their types hold.
const NUMBERS: [i64; 24] = [
    0,
    1,
    2,
    3,
    -1,
    7,
    30,
    80,
    100,
    443,
    600,
    1024,
    65_535,
    65_536,
    -65_536,
    1_000_000,
    2_147_483_647,
    -2_147_483_648,
    2_147_483_648,
    4_294_967_296,
    9_007_199_254_740_993,
    i64::MAX,
    i64::MIN,
    i64::MAX - 1,
];

impl<'a> Source<'a> {
    /// Choices from `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    /// A number below `count`, which is not 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let mut number = usize::from(self.byte());
        if count > 256 {
            number = number << 8 | usize::from(self.byte());
        }
        number % count.max(1)
    }

    /// One of `all`.
    pub(crate) fn choose<'b, T>(&mut self, all: &'b [T]) -> &'b T {
        &all[self.below(all.len())]
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u8) -> bool {
        self.byte() % times == times - 1
    }

    /// A number that is often at an edge.
    pub(crate) fn number(&mut self) -> i64 {
        match self.byte() {
            byte @ 0..192 => NUMBERS[usize::from(byte) % NUMBERS.len()],
            byte => i64::from(byte) - 224,
        }
    }

    /// A text that is often a word of the API, and may be anything.
    pub(crate) fn text(&mut self) -> String {
        match self.byte() {
            byte @ 0..224 => WORDS[usize::from(byte) % WORDS.len()].to_owned(),
            byte => {
                let length = usize::from(byte - 224).min(self.bytes.len());
                let (text, rest) = self.bytes.split_at(length);
                self.bytes = rest;
                String::from_utf8_lossy(text).into_owned()
            }
        }
    }
}
