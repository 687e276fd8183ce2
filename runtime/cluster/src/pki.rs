//! The cluster's certificate authority, and the certificates it signs.
//!
//! The authority, that of the front proxy and the administrator's certificate are files under
//! `DATA_DIR/pki` and outlive restarts. Every other certificate is made anew when the process that needs it starts. Names
//! follow <https://kubernetes.io/docs/setup/best-practices/certificates/>.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::files::write_private;
use crate::identity;
use crate::signer::FileSigner;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CA_VALID: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
const LEAF_VALID: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// A kept certificate is made anew when it has less than this left.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What the key of service accounts' tokens is called where it cannot be used.
pub(crate) const SERVICE_ACCOUNT_KEY: &str = "service accounts' signing key";

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A file could not be read or written.
    #[error("could not access {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A key or certificate is malformed.
    #[error("could not make or read the {what}")]
    Certificate {
        /// Which one.
        what: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub cert_pem: String,
    /// Its private key (PKCS #8).
    pub key_pem: String,
}

/// A certificate authority, and where its files are.
pub struct Pki {
    dir: PathBuf,
    cert: PathBuf,
    key: PathBuf,
    authority: Authority,
}

impl Pki {
    /// The authority kept in `dir`, made there if there is none.
    ///
    /// # Errors
    /// If a file cannot be read or written, or holds no key or certificate.
    pub fn open(dir: &Path, now: Timestamp) -> Result<Self, PkiError> {
        Self::named(dir, ("ca", "trimtab-ca"), now)
    }

    /// The authority of those who may speak for others, kept beside this one in `front-proxy-ca.crt`: what its
    /// certificates say must never be taken for the word of a client.
    ///
    /// # Errors
    /// As [`Pki::open`].
    pub(crate) fn front_proxy(&self) -> Result<Self, PkiError> {
        Self::named(&self.dir, ("front-proxy-ca", "front-proxy-ca"), self.authority.now)
    }

    fn named(dir: &Path, (file, name): (&str, &str), now: Timestamp) -> Result<Self, PkiError> {
        fs::create_dir_all(dir).map_err(|source| PkiError::File { path: dir.to_owned(), source })?;
        let (cert, key) = (dir.join(format!("{file}.crt")), dir.join(format!("{file}.key")));
        if !cert.exists() || !key.exists() {
            let made = KeyPair::generate().and_then(|key| make_ca(name, now, key));
            let made = made.map_err(about("certificate authority"))?;
            write_identity(&cert, &key, &made)?;
        }
        let authority = Authority::new(read_identity(&cert, &key)?, now)?;
        Ok(Self { dir: dir.to_owned(), cert, key, authority })
    }

    /// The authority's certificate, which clients trust.
    pub fn ca_pem(&self) -> &str {
        self.authority.ca_pem()
    }

    /// A certificate for a server reached under `names` (DNS names or IP addresses).
    ///
    /// # Errors
    /// If a name is not an ASCII DNS name.
    pub fn server(&self, common_name: &str, names: &[String]) -> Result<Identity, PkiError> {
        self.authority.server(common_name, names)
    }

    /// A certificate for the client `who`.
    ///
    /// # Errors
    /// If the key cannot be made.
    pub(crate) fn client(&self, who: &identity::Identity) -> Result<Identity, PkiError> {
        self.authority.client(&who.user, who.groups)
    }

    /// As [`Pki::client`], but kept in the files `name.crt` and `name.key`, and made anew only when
    /// it is about to expire: what a kubeconfig holds must outlive a restart.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub(crate) fn kept_client(&self, name: &str, who: &identity::Identity) -> Result<Identity, PkiError> {
        let (cert, key) = (self.dir.join(format!("{name}.crt")), self.dir.join(format!("{name}.key")));
        if cert.exists() && key.exists() && self.is_fresh(&cert) {
            return read_identity(&cert, &key);
        }
        let made = self.client(who)?;
        write_identity(&cert, &key, &made)?;
        Ok(made)
    }

    /// Signs for others with this authority.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(crate) fn signer(&self) -> Result<FileSigner, PkiError> {
        FileSigner::open(&self.cert, &self.key)
    }

    /// The key that service accounts' tokens are signed with, in PKCS #8 (DER): kept in the file
    /// `sa.key`, beside its public part in `sa.pub`, so that tokens outlive a restart.
    ///
    /// # Errors
    /// If a file cannot be read or written, or holds no key.
    pub(crate) fn service_account_key(&self) -> Result<Vec<u8>, PkiError> {
        let (private, public) = (self.dir.join("sa.key"), self.dir.join("sa.pub"));
        if private.exists() {
            return read_key(&private, SERVICE_ACCOUNT_KEY);
        }
        let key = KeyPair::generate().map_err(about(SERVICE_ACCOUNT_KEY))?;
        for (path, text) in [(&public, key.public_key_pem()), (&private, key.serialize_pem())] {
            write_private(path, text.as_bytes()).map_err(|source| PkiError::File { path: path.clone(), source })?;
        }
        Ok(key.serialize_der())
    }

    // The file's age stands for the certificate's: both are made in the same step. A certificate
    // of a former authority is older than the authority's file.
    fn is_fresh(&self, cert: &Path) -> bool {
        let written = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
        let (Some(made), Some(ca_made)) = (written(cert), written(&self.cert)) else { return false };
        let expires = Timestamp::try_from(made + LEAF_VALID - RENEW_BEFORE);
        made >= ca_made && expires.is_ok_and(|expires| self.authority.now < expires)
    }
}

/// What an authority is without its files.
pub(crate) struct Authority {
    pair: Identity,
    issuer: Issuer<'static, KeyPair>,
    now: Timestamp,
}

impl Authority {
    fn new(pair: Identity, now: Timestamp) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(&pair.key_pem).map_err(about("certificate authority's key"))?;
        let issuer = Issuer::from_ca_cert_pem(&pair.cert_pem, key).map_err(about("certificate authority"))?;
        Ok(Self { pair, issuer, now })
    }

    /// An authority that is the same for the same seed, and signs the same in the same way: for tests alone, since
    /// whoever knows the seed has its key.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub(crate) fn of_seed(seed: [u8; 32], now: Timestamp) -> Result<Self, PkiError> {
        // RFC 8410, section 7: a private key of Ed25519 is these bytes in an envelope that is always the same.
        const ENVELOPE: [u8; 16] =
            [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        let der = PrivatePkcs8KeyDer::from([&ENVELOPE[..], &seed].concat());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ED25519);
        let pair = key.and_then(|key| make_ca("trimtab-test-ca", now, key)).map_err(about("certificate authority"))?;
        Self::new(pair, now)
    }

    /// The same authority at another time.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub(crate) fn at(&self, now: Timestamp) -> Result<Self, PkiError> {
        Self::new(self.pair.clone(), now)
    }

    /// Signs for others with this authority.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub(crate) fn signer(&self) -> Result<FileSigner, PkiError> {
        FileSigner::of(&self.pair)
    }

    /// The authority's certificate, which clients trust.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.pair.cert_pem
    }

    /// A certificate for a server reached under `names` (DNS names or IP addresses).
    ///
    /// # Errors
    /// If a name is not an ASCII DNS name.
    pub(crate) fn server(&self, common_name: &str, names: &[String]) -> Result<Identity, PkiError> {
        let mut params = self.leaf(common_name, ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names = names.iter().map(|name| alt_name(name)).collect::<Result<_, _>>()?;
        self.sign(common_name, &params)
    }

    /// A certificate for a client.
    ///
    /// # Errors
    /// If the key cannot be made.
    pub(crate) fn client(&self, user: &str, groups: &[&str]) -> Result<Identity, PkiError> {
        let mut params = self.leaf(user, ExtendedKeyUsagePurpose::ClientAuth);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        self.sign(user, &params)
    }

    fn leaf(&self, common_name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, self.now, LEAF_VALID);
        params
    }

    fn sign(&self, what: &str, params: &CertificateParams) -> Result<Identity, PkiError> {
        let what = format!("certificate of {what}");
        let key = KeyPair::generate().map_err(about(&what))?;
        let cert = params.signed_by(&key, &self.issuer).map_err(about(&what))?;
        Ok(Identity { cert_pem: cert.pem(), key_pem: key.serialize_pem() })
    }
}

fn make_ca(name: &str, now: Timestamp, key: KeyPair) -> Result<Identity, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    set_validity(&mut params, now, CA_VALID);
    let cert = params.self_signed(&key)?;
    Ok(Identity { cert_pem: cert.pem(), key_pem: key.serialize_pem() })
}

// A day's grace before, for clients whose clock is behind.
fn set_validity(params: &mut CertificateParams, now: Timestamp, valid: Duration) {
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.as_second().unsigned_abs());
    params.not_before = now - DAY;
    params.not_after = now + valid;
}

fn alt_name(name: &str) -> Result<SanType, PkiError> {
    match name.parse::<IpAddr>() {
        Ok(ip) => Ok(SanType::IpAddress(ip)),
        Err(_) => name.try_into().map(SanType::DnsName).map_err(about(&format!("name {name:?}"))),
    }
}

pub(crate) fn about(what: &str) -> impl FnOnce(rcgen::Error) -> PkiError {
    let what = what.to_owned();
    |source| PkiError::Certificate { what, source }
}

pub(crate) fn read_identity(cert: &Path, key: &Path) -> Result<Identity, PkiError> {
    Ok(Identity { cert_pem: read_text(cert)?, key_pem: read_text(key)? })
}

/// The private key in a file (PEM), in PKCS #8 (DER).
pub(crate) fn read_key(path: &Path, what: &str) -> Result<Vec<u8>, PkiError> {
    let key = KeyPair::from_pem(&read_text(path)?).map_err(about(what))?;
    Ok(key.serialize_der())
}

pub(crate) fn read_text(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|source| PkiError::File { path: path.to_owned(), source })
}

fn write_identity(cert: &Path, key: &Path, identity: &Identity) -> Result<(), PkiError> {
    for (path, text) in [(key, &identity.key_pem), (cert, &identity.cert_pem)] {
        write_private(path, text.as_bytes()).map_err(|source| PkiError::File { path: path.to_owned(), source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn now() -> Timestamp {
        trimtab_env::Env::system().now()
    }

    #[test]
    fn the_authority_and_a_kept_certificate_outlive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pki::open(dir.path(), now()).unwrap();
        let admin = first.kept_client("admin", &identity::Identity::administrator()).unwrap();
        let second = Pki::open(dir.path(), now()).unwrap();
        assert_eq!(first.ca_pem(), second.ca_pem());
        assert_eq!(admin.cert_pem, second.kept_client("admin", &identity::Identity::administrator()).unwrap().cert_pem);
    }

    #[test]
    fn who_speaks_for_others_is_vouched_for_by_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Pki::open(dir.path(), now()).unwrap();
        let first = open().front_proxy().unwrap();
        assert_ne!(first.ca_pem(), open().ca_pem());
        assert_eq!(first.ca_pem(), open().front_proxy().unwrap().ca_pem());
        first.client(&identity::Identity::front_proxy_client()).unwrap();
    }

    #[test]
    fn the_service_accounts_key_outlives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let key = || Pki::open(dir.path(), now()).unwrap().service_account_key().unwrap();
        let first = key();
        assert!(first == key(), "the same key");
        trimtab_apiserver::SigningKey::from_pkcs8(&first).unwrap();
    }

    #[test]
    fn a_kept_certificate_is_renewed_before_it_expires() {
        let dir = tempfile::tempdir().unwrap();
        let admin =
            Pki::open(dir.path(), now()).unwrap().kept_client("admin", &identity::Identity::administrator()).unwrap();
        let later = Pki::open(dir.path(), now() + Duration::from_secs(340 * 24 * 3600)).unwrap();
        assert_ne!(admin.cert_pem, later.kept_client("admin", &identity::Identity::administrator()).unwrap().cert_pem);
    }

    #[test]
    fn a_bad_server_name_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::open(dir.path(), at("2026-01-01T00:00:00Z")).unwrap();
        let error = pki.server("apiserver", &["böse".to_owned()]).err().unwrap();
        assert!(error.to_string().contains("böse"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_readable_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        Pki::open(dir.path(), now()).unwrap();
        assert_eq!(fs::metadata(dir.path().join("ca.key")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
