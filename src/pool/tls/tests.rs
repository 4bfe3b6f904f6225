//! TLS with servers that show all kinds of certificates, in memory.

use super::*;
use crate::pool::clock::CLOCK_FLOOR;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

const POOL: &str = "stratum+tls://pool.example.com:443";
/// 1970-01-01T00:01:00: a board that has just started.
const NOT_SET: u64 = 60;
/// 2027-01-15.
const SET: u64 = 1_800_000_000;

#[derive(Debug)]
struct Clock(u64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

/// An authority of our own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    fn file(&self, folder: &Path) -> Trust {
        let path = folder.join("authority.pem");
        std::fs::write(&path, &self.pem).unwrap();
        Trust::Authorities(path)
    }

    /// A certificate of this authority from one year's beginning to another's.
    fn certificate(&self, name: &str, years: (i32, i32)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }
}

/// What a server shows.
struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    fn self_signed(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        Self {
            certificate: made.cert.der().clone(),
            key: made.signing_key.serialize_der(),
        }
    }

    fn pin(&self) -> CertificatePin {
        CertificatePin::of(&self.certificate)
    }

    fn server(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certificate.clone()],
                PrivatePkcs8KeyDer::from(self.key.clone()).into(),
            )
            .unwrap()
    }
}

/// Connections whose far ends go to a test.
struct Wire(mpsc::UnboundedSender<(PoolUrl, DuplexStream)>);

impl Connector for Wire {
    fn connect<'a>(
        &'a self,
        url: &'a PoolUrl,
        _: &'a Deadlines,
    ) -> Boxed<'a, Result<Connection, ConnectError>> {
        Box::pin(async move {
            let (near, far) = duplex(16 * 1024);
            self.0.send((url.clone(), far)).unwrap();
            Ok(Connection {
                stream: Box::new(near),
                peer: "wire".into(),
                secured: None,
            })
        })
    }
}

/// Connects to a server that shows this identity and echoes what it is told.
async fn connect(identity: &Identity, trust: Trust, now: u64) -> Result<Secured, String> {
    connect_to(POOL, identity, trust, now, rustls::ALL_VERSIONS).await
}

async fn connect_to(
    url: &str,
    identity: &Identity,
    trust: Trust,
    now: u64,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<Secured, String> {
    let (sender, mut wires) = mpsc::unbounded_channel();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(identity.server(versions)));
    tokio::spawn(async move {
        let (beneath, far): (PoolUrl, _) = wires.recv().await.unwrap();
        assert_eq!(beneath.transport, Transport::Tcp);
        // The client may refuse the certificate.
        if let Ok(mut stream) = acceptor.accept(far).await {
            let mut bytes = [0; 5];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.flush().await.unwrap();
        }
    });
    let connector = TlsConnector::with_clock(Arc::new(Wire(sender)), trust, Arc::new(Clock(now)));
    let deadlines = Deadlines::default();
    let connected = connector
        .connect(&url.parse().unwrap(), &deadlines)
        .await
        .map_err(|error| error.to_string())?;
    let mut stream = connected.stream;
    stream.write_all(b"share").await.unwrap();
    stream.flush().await.unwrap();
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"share");
    assert_eq!(connected.peer, "wire");
    Ok(connected.secured.unwrap())
}

#[tokio::test]
async fn a_good_certificate_of_our_own_authority_is_taken_over_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let identity = authority.certificate("pool.example.com", (2026, 2028));
    let trust = authority.file(folder.path());
    for (version, name) in [
        (&rustls::version::TLS13, "TLSv1_3"),
        (&rustls::version::TLS12, "TLSv1_2"),
    ] {
        let secured = connect_to(POOL, &identity, trust.clone(), SET, &[version])
            .await
            .unwrap();
        assert_eq!(secured.protocol, name);
        assert_eq!(secured.certificate, Some(identity.pin()));
        assert!(secured.dates_checked && secured.cipher.contains("AES"));
    }
}

#[tokio::test]
async fn a_literal_address_must_stand_in_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let identity = authority.certificate("192.0.2.7", (2026, 2028));
    let trust = authority.file(folder.path());
    for (url, good) in [
        ("stratum+ssl://192.0.2.7:443", true),
        ("stratum+ssl://192.0.2.8:443", false),
    ] {
        let connected = connect_to(url, &identity, trust.clone(), SET, rustls::ALL_VERSIONS).await;
        assert_eq!(connected.is_ok(), good, "{connected:?}");
    }
}

#[tokio::test]
async fn bad_certificates_are_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let trust = authority.file(folder.path());
    let certificate = |name, years| authority.certificate(name, years);
    let rows = [
        (
            "wrong name",
            certificate("other.example.com", (2026, 2028)),
            trust.clone(),
            "use the name",
        ),
        (
            "ended",
            certificate("pool.example.com", (2025, 2026)),
            trust.clone(),
            "this machine's clock",
        ),
        (
            "not begun",
            certificate("pool.example.com", (2028, 2030)),
            trust.clone(),
            "this machine's clock",
        ),
        (
            "another authority",
            Authority::new().certificate("pool.example.com", (2026, 2028)),
            trust.clone(),
            "`ca_file`",
        ),
        (
            "not a public one",
            certificate("pool.example.com", (2026, 2028)),
            Trust::PublicRoots,
            "`ca_file`",
        ),
        (
            "signed by itself",
            Identity::self_signed("pool.example.com"),
            trust,
            "`tls_pin`",
        ),
    ];
    for (case, identity, trust, hint) in rows {
        let error = connect(&identity, trust, SET).await.unwrap_err();
        assert!(
            error.contains(hint) && error.contains(POOL),
            "{case}: {error}"
        );
    }
}

#[tokio::test]
async fn a_pinned_certificate_is_taken_whatever_stands_in_it_and_no_other_is() {
    let pinned = Authority::new().certificate("whoever.example.com", (1990, 1991));
    let trust = Trust::Certificate(pinned.pin());
    for now in [NOT_SET, SET] {
        let secured = connect(&pinned, trust.clone(), now).await.unwrap();
        assert!(!secured.dates_checked);
    }
    let other = Identity::self_signed("pool.example.com");
    let error = connect(&other, trust.clone(), SET).await.unwrap_err();
    assert!(
        error.contains(&other.pin().to_string()) && error.contains(&pinned.pin().to_string()),
        "{error}"
    );
    // The certificate is public: it counts only with its key.
    let thief = Identity {
        certificate: pinned.certificate.clone(),
        ..Identity::self_signed("pool.example.com")
    };
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = provider
            .key_provider
            .load_private_key(PrivatePkcs8KeyDer::from(thief.key.clone()).into())
            .unwrap();
        let stolen = rustls::sign::CertifiedKey::new(vec![thief.certificate.clone()], key);
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(stolen)));
        let (sender, mut wires) = mpsc::unbounded_channel();
        let connector =
            TlsConnector::with_clock(Arc::new(Wire(sender)), trust.clone(), Arc::new(Clock(SET)));
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let serve = async {
            let (_, far) = wires.recv().await.unwrap();
            acceptor.accept(far).await.is_err()
        };
        let (url, deadlines) = (POOL.parse().unwrap(), Deadlines::default());
        let (connected, refused) = tokio::join!(connector.connect(&url, &deadlines), serve);
        let error = connected.err().unwrap().to_string();
        assert!(error.contains("BadSignature") && refused, "{error}");
    }
}

#[tokio::test]
async fn while_the_clock_is_not_set_dates_do_not_count_but_all_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let trust = authority.file(folder.path());
    let certificate = |name, years| authority.certificate(name, years);
    // Whatever the true time is, one of these is good now.
    for years in [(2026, 2028), (2027, 2028), (2030, 2031)] {
        let identity = certificate("pool.example.com", years);
        for now in [NOT_SET, CLOCK_FLOOR.as_secs() - 1] {
            let secured = connect(&identity, trust.clone(), now).await.unwrap();
            assert!(!secured.dates_checked);
        }
    }
    let rows = [
        (
            "ended before this program was made",
            certificate("pool.example.com", (2024, 2026)),
            &trust,
        ),
        (
            "wrong name",
            certificate("other.example.com", (2027, 2028)),
            &trust,
        ),
        (
            "another authority",
            Authority::new().certificate("pool.example.com", (2027, 2028)),
            &trust,
        ),
        (
            "not a public one",
            certificate("pool.example.com", (2027, 2028)),
            &Trust::PublicRoots,
        ),
    ];
    for (case, identity, trust) in rows {
        let connected = connect(&identity, trust.clone(), NOT_SET).await;
        assert!(connected.is_err(), "{case}");
    }
    // Once it is set, the dates count again.
    let identity = certificate("pool.example.com", (2030, 2031));
    assert!(connect(&identity, trust, SET).await.is_err());
}

#[tokio::test]
async fn a_chain_whose_every_certificate_begins_later_is_taken_while_the_clock_is_not_set() {
    let folder = tempfile::tempdir().unwrap();
    let root = Authority::new();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.not_before = date_time_ymd(2029, 6, 1);
    let between = params.signed_by(&key, &root.issuer).unwrap();
    let between = Authority {
        pem: between.pem(),
        issuer: Issuer::new(params, key),
    };
    let leaf = between.certificate("pool.example.com", (2029, 2031));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = verify::verifier(&root.file(folder.path()), &provider).unwrap();
    let chain = pem_certificates(&between.pem);
    let name = ServerName::try_from("pool.example.com").unwrap();
    let judge = |now| {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        verifier.verify_server_cert(&leaf.certificate, &chain, &name, &[], now)
    };
    assert!(judge(NOT_SET).is_ok(), "{:?}", judge(NOT_SET));
    assert!(judge(SET).is_err());
}

fn pem_certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_the_connection_and_never_answers_is_left_at_the_deadline() {
    let (sender, mut wires) = mpsc::unbounded_channel();
    let connector = TlsConnector::new(Arc::new(Wire(sender)), Trust::PublicRoots);
    let (url, deadlines) = (POOL.parse().unwrap(), Deadlines::default());
    let began = tokio::time::Instant::now();
    let error = connector.connect(&url, &deadlines).await.err().unwrap();
    assert_eq!(began.elapsed(), deadlines.tls);
    assert!(error.to_string().contains("handshake"), "{error}");
    assert!(wires.try_recv().is_ok());
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_as_such() {
    let (sender, mut wires) = mpsc::unbounded_channel();
    let connector = TlsConnector::new(Arc::new(Wire(sender)), Trust::PublicRoots);
    let (url, deadlines) = (POOL.parse().unwrap(), Deadlines::default());
    let plain = async {
        let (_, mut far): (PoolUrl, DuplexStream) = wires.recv().await.unwrap();
        far.write_all(b"{\"id\":null,\"error\":\"what?\"}\n")
            .await
            .unwrap();
        far
    };
    let (connected, _far) = tokio::join!(connector.connect(&url, &deadlines), plain);
    let error = connected.err().unwrap().to_string();
    assert!(error.contains("speak TLS"), "{error}");
}

#[tokio::test]
async fn a_bad_file_of_authorities_is_told_and_read_again_at_the_next_try() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authority.pem");
    let (sender, _wires) = mpsc::unbounded_channel();
    let trust = Trust::Authorities(path.clone());
    let connector = TlsConnector::new(Arc::new(Wire(sender)), trust.clone());
    let (url, deadlines) = (POOL.parse().unwrap(), Deadlines::default());
    for (content, words) in [
        (None, "No such file"),
        (Some("nothing"), "holds no PEM certificate"),
        (
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "certificate 1: ",
        ),
        (
            Some("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"),
            "certificate 1: ",
        ),
    ] {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let error = connector
            .connect(&url, &deadlines)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains(words) && error.contains("authority.pem"),
            "{error}"
        );
    }
    let authority = Authority::new();
    assert_eq!(authority.file(folder.path()), trust);
    assert!(connector.client(&url).is_ok());
}
