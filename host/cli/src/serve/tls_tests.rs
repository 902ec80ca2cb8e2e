#![allow(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// An authority that signs what a test needs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Returns a certificate and its key, in PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

struct Files {
    directory: TempDir,
    authority: Authority,
}

impl Files {
    /// Writes a good certificate for `localhost`, and its key.
    fn new() -> Self {
        let files = Files { directory: tempfile::tempdir().unwrap(), authority: Authority::new() };
        files.renew();
        files
    }

    fn renew(&self) {
        let (certificate, key) = self.authority.sign("localhost");
        self.write("certificate", &certificate);
        self.write("key", &key);
        self.write("authority", &self.authority.pem);
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn settings(&self) -> TlsSettings {
        TlsSettings { certificate: self.path("certificate"), key: self.path("key"), ..TlsSettings::default() }
    }

    fn refused(&self, settings: TlsSettings) -> String {
        format!("{:#}", Tls::load(settings).unwrap_err())
    }
}

/// What a client brings.
#[derive(Default)]
struct Client {
    certificate: Option<(String, String)>,
    versions: Option<&'static SupportedProtocolVersion>,
    protocols: Vec<Vec<u8>>,
}

impl Client {
    /// Connects to a server that echoes one byte, and exchanges it: only then a refused certificate shows.
    async fn echo(self, tls: &Tls, authority: &Authority) -> std::io::Result<TlsStream<TcpStream>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptor = tls.acceptor();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                while let Ok(byte) = stream.read_u8().await {
                    stream.write_u8(byte).await.unwrap();
                    stream.flush().await.unwrap();
                }
            }
        });
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = match self.versions {
            Some(version) => builder.with_protocol_versions(&[version]).unwrap(),
            None => builder.with_safe_default_protocol_versions().unwrap(),
        };
        let builder = builder.with_root_certificates(roots);
        let mut config = match self.certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        config.alpn_protocols = self.protocols;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(address).await?;
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        exchange(&mut stream).await?;
        Ok(stream)
    }
}

async fn exchange(stream: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    stream.write_u8(7).await?;
    stream.flush().await?;
    assert_eq!(stream.read_u8().await?, 7);
    Ok(())
}

fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn both_versions_of_tls_and_of_http_are_offered() {
    let files = Files::new();
    let tls = Tls::load(files.settings()).unwrap();
    for (version, expected) in
        [(&rustls::version::TLS12, ProtocolVersion::TLSv1_2), (&rustls::version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let client = Client {
            versions: Some(version),
            protocols: vec![b"http/1.1".to_vec(), b"h2".to_vec()],
            ..Client::default()
        };
        let stream = client.echo(&tls, &files.authority).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    }
    let client = Client { protocols: vec![b"http/1.1".to_vec()], ..Client::default() };
    let stream = client.echo(&tls, &files.authority).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
}

#[tokio::test]
async fn http_2_is_not_offered_where_it_is_disabled() {
    let files = Files::new();
    let tls = Tls::load(TlsSettings { http1_only: true, ..files.settings() }).unwrap();
    let both = Client { protocols: vec![b"h2".to_vec(), b"http/1.1".to_vec()], ..Client::default() };
    let stream = both.echo(&tls, &files.authority).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
}

#[tokio::test]
async fn an_older_version_than_the_minimum_is_refused() {
    let files = Files::new();
    let tls = Tls::load(TlsSettings { minimum: MinimumVersion::Tls13, ..files.settings() }).unwrap();
    let client = |version| Client { versions: Some(version), ..Client::default() };
    assert!(client(&rustls::version::TLS12).echo(&tls, &files.authority).await.is_err());
    assert!(client(&rustls::version::TLS13).echo(&tls, &files.authority).await.is_ok());
}

#[tokio::test]
async fn a_client_shows_a_certificate_of_the_authority_where_one_is_required() {
    let files = Files::new();
    let required = TlsSettings { client_authorities: vec![files.path("authority")], ..files.settings() };
    let optional = TlsSettings { client_certificate: ClientCertificate::Optional, ..required.clone() };
    let good = || Client { certificate: Some(files.authority.sign("me")), ..Client::default() };
    let stranger = || Client { certificate: Some(Authority::new().sign("me")), ..Client::default() };
    for (settings, without) in [(required, false), (optional, true)] {
        let tls = Tls::load(settings).unwrap();
        assert!(good().echo(&tls, &files.authority).await.is_ok());
        assert!(stranger().echo(&tls, &files.authority).await.is_err(), "a bad certificate is never good");
        assert_eq!(Client::default().echo(&tls, &files.authority).await.is_ok(), without);
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_for_new_connections_and_old_ones_go_on() {
    let files = Files::new();
    let tls = Tls::load(files.settings()).unwrap();
    let mut old = Client::default().echo(&tls, &files.authority).await.unwrap();
    files.renew();
    tls.reload().unwrap();
    let new = Client::default().echo(&tls, &files.authority).await.unwrap();
    assert_ne!(shown(&old), shown(&new));
    exchange(&mut old).await.unwrap();
}

#[tokio::test]
async fn a_changed_file_is_noticed_and_one_that_does_not_fit_is_not_used() {
    let files = Files::new();
    let tls = Tls::load(files.settings()).unwrap();
    let first = shown(&Client::default().echo(&tls, &files.authority).await.unwrap());
    let watch = tokio::spawn(Arc::clone(&tls).watch(Duration::from_millis(20)));
    // The certificate before its key, as files are replaced.
    let (certificate, key) = files.authority.sign("localhost");
    files.write("certificate", &certificate);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let kept = shown(&Client::default().echo(&tls, &files.authority).await.unwrap());
    assert_eq!(kept, first, "the certificate came without its key");
    files.write("key", &key);
    let expected = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap().to_vec();
    let noticed = async {
        while shown(&Client::default().echo(&tls, &files.authority).await.unwrap()) != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), noticed).await.expect("it was never noticed");
    watch.abort();
}

#[test]
fn what_cannot_be_used_is_named() {
    let files = Files::new();
    let settings = files.settings();
    let file = |name: &str| files.path(name).display().to_string();
    let missing = TlsSettings { key: files.path("nothing"), ..settings.clone() };
    assert!(files.refused(missing).starts_with(&format!("could not read {}: ", file("nothing"))));
    let swapped = TlsSettings { certificate: files.path("key"), key: files.path("certificate"), ..settings.clone() };
    assert!(files.refused(swapped).contains("holds no private key in PEM"));
    let no_certificate = TlsSettings { certificate: files.path("key"), ..settings.clone() };
    assert_eq!(files.refused(no_certificate), format!("{} holds no certificate in PEM", file("key")));
    let other = TlsSettings { certificate: files.path("authority"), ..settings.clone() };
    let error = files.refused(other);
    assert!(error.starts_with(&format!("{} and {} do not fit: ", file("authority"), file("key"))), "{error}");
    let secret = fs::read_to_string(files.path("key")).unwrap();
    let line = secret.lines().nth(1).unwrap();
    assert!(!error.contains(line) && !format!("{:?}", Tls::load(settings).unwrap()).contains(line));
}

#[tokio::test]
async fn chosen_cipher_suites_are_used_and_unknown_ones_refused() {
    let files = Files::new();
    let suites = |names: &[&str]| {
        let cipher_suites = names.iter().map(|&name| name.to_owned()).collect();
        TlsSettings { cipher_suites, ..files.settings() }
    };
    let chosen = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let tls = Tls::load(suites(&[chosen, "TLS_AES_128_GCM_SHA256"])).unwrap();
    let client = Client { versions: Some(&rustls::version::TLS12), ..Client::default() };
    let stream = client.echo(&tls, &files.authority).await.unwrap();
    let suite = stream.get_ref().1.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite.as_str(), Some(chosen));
    let error = files.refused(suites(&["TLS_RSA_WITH_3DES_EDE_CBC_SHA"]));
    assert!(error.starts_with("the cipher suite TLS_RSA_WITH_3DES_EDE_CBC_SHA is unknown or not safe; "), "{error}");
}
