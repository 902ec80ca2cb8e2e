//! 1 GiB up and down through the s3 driver, beside the AWS SDK used plainly, in one run.
//!
//! `cargo run --release -- http://127.0.0.1:PORT BUCKET`, in this directory, with a server of `cargo xtask servers`. The
//! bucket is made if it is not there. Both sides send parts of 10 MiB one after the other, and read the object as one stream.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_sdk_s3::{Client, Config};
use bytes::Bytes;
use futures::TryStreamExt;
use wharf::contract::{ByteRange, StorageDriver, StoragePath, WriteMode};
use wharf::factory::{Factory, Parameters};

/// The program's; for both sides.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SIZE: usize = 1 << 30;
const PART: usize = 10 << 20;
/// What a registry writes at a time.
const STEP: usize = 256 << 10;
const ROUNDS: usize = 5;
const KEYS: (&str, &str) = ("testaccess", "testsecret123");

#[derive(Clone, Copy, Default)]
struct Cost {
    seconds: f64,
    cpu: f64,
}

async fn measure(work: impl Future<Output = Result<()>>) -> Result<Cost> {
    let (began, cpu) = (Instant::now(), cpu()?);
    work.await?;
    Ok(Cost { seconds: began.elapsed().as_secs_f64(), cpu: self::cpu()? - cpu })
}

/// The processor seconds of this process so far.
fn cpu() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

async fn plain_up(client: &Client, bucket: &str, content: &Bytes) -> Result<()> {
    let id = client.create_multipart_upload().bucket(bucket).key("plain").send().await?.upload_id.context("no id")?;
    let mut parts = Vec::new();
    for (number, at) in (1..).zip((0..content.len()).step_by(PART)) {
        let body = content.slice(at..(at + PART).min(content.len()));
        let part = client.upload_part().bucket(bucket).key("plain").upload_id(&id).part_number(number);
        let answer = part.body(body.into()).send().await?;
        let completed = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag);
        parts.push(completed.set_checksum_crc32(answer.checksum_crc32).build());
    }
    let upload = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    client.complete_multipart_upload().bucket(bucket).key("plain").upload_id(id).multipart_upload(upload).send().await?;
    Ok(())
}

async fn plain_down(client: &Client, bucket: &str) -> Result<()> {
    let mut body = client.get_object().bucket(bucket).key("plain").send().await?.body;
    let mut size = 0;
    while let Some(chunk) = body.try_next().await? {
        size += chunk.len();
    }
    if size != SIZE { bail!("{size} bytes were read") } else { Ok(()) }
}

async fn driver_up(driver: &Arc<dyn StorageDriver>, content: &Bytes) -> Result<()> {
    let mut writer = driver.writer(&StoragePath::parse("/driver")?, WriteMode::New).await?;
    for at in (0..content.len()).step_by(STEP) {
        writer.write(content.slice(at..(at + STEP).min(content.len()))).await?;
    }
    writer.commit().await?;
    Ok(())
}

async fn driver_down(driver: &Arc<dyn StorageDriver>) -> Result<()> {
    let mut reader = driver.reader(&StoragePath::parse("/driver")?, ByteRange::ALL).await?;
    let mut size = 0;
    while let Some(chunk) = reader.try_next().await? {
        size += chunk.len();
    }
    if size != SIZE { bail!("{size} bytes were read") } else { Ok(()) }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, bucket] = &arguments[..] else { bail!("usage: s3-bench http://127.0.0.1:PORT BUCKET") };
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(KEYS.0, KEYS.1, None, None, "bench"))
        .force_path_style(true)
        .endpoint_url(endpoint)
        .build();
    let client = Client::from_conf(config);
    if client.head_bucket().bucket(bucket).send().await.is_err() {
        client.create_bucket().bucket(bucket).send().await?;
    }
    let parameters = Parameters::new()
        .with("accesskey", KEYS.0)
        .with("secretkey", KEYS.1)
        .with("regionendpoint", endpoint.as_str())
        .with("forcepathstyle", true)
        .with("bucket", bucket.as_str());
    let driver = Factory::native().create("s3", parameters).await?;
    let content: Bytes = (0..SIZE).map(|at| (at * 31 + at / 257) as u8).collect::<Vec<u8>>().into();

    let mut costs: [Vec<(Cost, Cost)>; 2] = Default::default();
    for round in 0..ROUNDS {
        // The one that comes second has a warm server; they take turns.
        let up = if round % 2 == 0 {
            let plain = measure(plain_up(&client, bucket, &content)).await?;
            (plain, measure(driver_up(&driver, &content)).await?)
        } else {
            let driver = measure(driver_up(&driver, &content)).await?;
            (measure(plain_up(&client, bucket, &content)).await?, driver)
        };
        let down = if round % 2 == 0 {
            let plain = measure(plain_down(&client, bucket)).await?;
            (plain, measure(driver_down(&driver)).await?)
        } else {
            let driver = measure(driver_down(&driver)).await?;
            (measure(plain_down(&client, bucket)).await?, driver)
        };
        costs[0].push(up);
        costs[1].push(down);
        client.delete_object().bucket(bucket).key("plain").send().await?;
        driver.delete_files(&[StoragePath::parse("/driver")?]).await?;
        // What was deleted is to be gone from the server's memory.
        tokio::time::sleep(std::time::Duration::from_secs(12)).await;
    }
    println!("1 GiB, medians of {ROUNDS} rounds; driver by plain SDK");
    for (name, costs) in ["up", "down"].iter().zip(&costs) {
        let median = |value: &dyn Fn(&(Cost, Cost)) -> f64| {
            let mut values: Vec<f64> = costs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "{name:<5} SDK {:>6.0} MB/s {:>5.2} CPU s   driver {:>6.0} MB/s {:>5.2} CPU s   rate {:.2}   CPU {:.2}",
            SIZE as f64 / 1e6 / median(&|cost| cost.0.seconds),
            median(&|cost| cost.0.cpu),
            SIZE as f64 / 1e6 / median(&|cost| cost.1.seconds),
            median(&|cost| cost.1.cpu),
            median(&|cost| cost.0.seconds / cost.1.seconds),
            median(&|cost| cost.1.cpu / cost.0.cpu),
        );
    }
    Ok(())
}
