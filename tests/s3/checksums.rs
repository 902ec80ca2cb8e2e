//! Bytes that are changed on their way are noticed, both ways.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wharf::contract::{ErrorKind, StorageDriver, StorageDriverExt, WriteMode};

use crate::path;
use crate::support::Bucket;

/// What the wire makes of this: [`CHANGED`].
const CONTENT: &[u8] = b"the bytes that were written";
const CHANGED: &[u8] = b"the bytes that were wrutten";

/// Relays a server's connections, and changes [`CONTENT`] in the one direction or the other. What is sent at once arrives at
/// once here, so that it is found whole.
async fn changing_wire(server: &str, is_upload: bool) -> SocketAddr {
    let server: SocketAddr = server.strip_prefix("http://").unwrap().parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(server).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::spawn(relay(from_client, to_server, is_upload));
            tokio::spawn(relay(from_server, to_client, !is_upload));
        }
    });
    address
}

async fn relay(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    changes: bool,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        let piece = &mut buffer[..count];
        if changes && let Some(at) = piece.windows(CONTENT.len()).position(|window| window == CONTENT) {
            piece[at..at + CHANGED.len()].copy_from_slice(CHANGED);
        }
        to.write_all(piece).await?;
    }
}

async fn through(bucket: &Bucket, is_upload: bool, checksum: &str) -> std::sync::Arc<dyn StorageDriver> {
    let wire = changing_wire(&bucket.endpoint, is_upload).await;
    let bucket = bucket.through(&format!("http://{wire}"));
    let parameters = bucket.parameters("/checksums").with("checksum", checksum).with("listorder", "tree");
    bucket.open_with(parameters).await.unwrap()
}

/// The signature covers the SHA-256 of the body, which Ceph compares. SeaweedFS does not, but a checksum where one is sent.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_change_on_their_way_to_the_store_are_refused_and_nothing_is_stored() {
    for (server, checksum) in [("RGW", "none"), ("SEAWEED", "crc32"), ("SEAWEED", "crc32c"), ("SEAWEED", "sha256")] {
        let bucket = Bucket::new(server).unwrap();
        let driver = through(&bucket, true, checksum).await;
        let stored = driver.put_content(&path("/file"), Bytes::from_static(CONTENT)).await;
        let error = stored.expect_err(&format!("{server} {checksum}"));
        assert_eq!(
            (error.kind(), error.attempts()),
            (&ErrorKind::Unavailable, Some(6)),
            "{server} {checksum}: {error}"
        );
        assert!(!bucket.open("/checksums").await.unwrap().exists(&path("/file")).await.unwrap(), "{server}");
    }
}

/// SeaweedFS keeps checksums; Ceph of this version passes over them.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_change_on_their_way_back_are_corrupt_where_the_store_keeps_checksums() {
    let bucket = Bucket::new("SEAWEED").unwrap();
    for checksum in ["crc32", "crc32c", "sha256"] {
        let driver = through(&bucket, false, checksum).await;
        let file = path(&format!("/{checksum}"));
        driver.put_content(&file, Bytes::from_static(CONTENT)).await.unwrap();
        let error = driver.get_content(&file).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Corrupt, "{checksum}: {error}");
        // And the control: without checksums nobody can tell.
        let blind = through(&bucket, false, "none").await;
        assert_eq!(blind.get_content(&file).await.unwrap(), CHANGED);
        let calm = bucket.open("/checksums").await.unwrap();
        assert_eq!(calm.get_content(&file).await.unwrap(), CONTENT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_parts_with_checksums_is_whole_and_can_be_continued() {
    for server in ["RGW", "SEAWEED"] {
        let bucket = Bucket::new(server).unwrap();
        for checksum in ["crc32", "crc32c", "sha256"] {
            let driver = bucket.open_with(bucket.parameters("/parts").with("checksum", checksum)).await.unwrap();
            let file = path(&format!("/{checksum}"));
            let part = Bytes::from(vec![b'p'; 5 << 20]);
            let mut writer = driver.writer(&file, WriteMode::New).await.unwrap();
            writer.write(part.clone()).await.unwrap();
            writer.close().await.unwrap();
            let mut writer = driver.writer(&file, WriteMode::Append).await.unwrap();
            writer.write(part.clone()).await.unwrap();
            writer.write(Bytes::from_static(CONTENT)).await.unwrap();
            let size = writer.commit().await.unwrap();
            assert_eq!(size, 2 * part.len() as u64 + CONTENT.len() as u64, "{server} {checksum}");
            let content = driver.get_content(&file).await.unwrap();
            assert!(content.ends_with(CONTENT) && content.len() as u64 == size, "{server} {checksum}");
        }
    }
}
