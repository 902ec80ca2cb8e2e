//! `reader`.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use wharf::contract::{ByteRange, Reader, WriteMode};

use super::{Case, case};
use crate::context::{ensure, expect_kind, pattern, read, same_bytes};
use crate::{Context, Outcome};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(reader_gives_the_whole_file, "a reader returns the whole file, and a stream that ends early is an error"),
        case!(reader_tells_the_whole_size, "a reader's info has the whole file's size, whatever the range"),
        case!(reader_from_any_offset, "a reader from an offset returns the rest"),
        case!(reader_of_a_range, "a reader of a range returns exactly its bytes"),
        case!(reader_offset_at_the_end, "offset = size gives an empty reader"),
        case!(reader_offset_beyond_the_end, "an offset beyond the end is invalid-offset"),
        case!(reader_length_past_the_end, "a length may reach past the end"),
        case!(ranges_of_a_large_file, "ranges around the sizes of blocks are exactly the file's bytes")
            .heavy()
            .holds_much(),
        case!(reader_length_above_32_bits, "a length may be larger than 32 bits hold"),
        case!(
            reader_of_a_replaced_file,
            "a reader of a file that is replaced gives the old bytes or an error, never a mix"
        )
        .holds_much(),
        case!(reader_of_a_deleted_file, "a reader of a file that is deleted gives its bytes or an error").holds_much(),
        case!(reader_of_missing, "a reader of a missing file is path-not-found"),
        case!(reader_of_a_directory, "a reader of a directory is path-not-found"),
        case!(reader_dropped_half_way, "a reader dropped half-way harms nothing"),
        case!(operations_beside_open_readers, "open readers that nobody reads hold up nothing else"),
        case!(readers_at_once, "many readers of one file each get the whole of it").holds_much().heavy(),
    ]
}

async fn reader_gives_the_whole_file(cx: Context) -> Outcome {
    for size in [0, 1, 4096, 300_007] {
        let content = pattern(size, size as usize);
        let path = cx.put("file", content.clone()).await?;
        cx.expect_content(&path, &content).await?;
    }
    Ok(())
}

async fn reader_tells_the_whole_size(cx: Context) -> Outcome {
    let path = cx.put("file", pattern(1, 1000)).await?;
    for range in [ByteRange::ALL, ByteRange::new(10, 5), ByteRange::from(1000)] {
        let reader = cx.driver().reader(&path, range).await?;
        let info = reader.info();
        ensure!(
            info.size == 1000 && info.path == path,
            "reader with {range:?}: expected 1000 bytes at {path}, got {info:?}"
        );
    }
    Ok(())
}

async fn ranges(cx: &Context, ranges: &[(u64, Option<u64>)]) -> Outcome {
    let content = pattern(1, 1000);
    let path = cx.put("file", content.clone()).await?;
    for &(offset, length) in ranges {
        let end = length.map_or(1000, |length| (offset.saturating_add(length)).min(1000));
        let got = read(cx.driver(), &path, ByteRange { offset, length }).await?;
        let done = format!("reading 1000 bytes with offset {offset}, length {length:?}");
        same_bytes(&done, &got, &content[offset as usize..end as usize])?;
    }
    Ok(())
}

async fn reader_from_any_offset(cx: Context) -> Outcome {
    ranges(&cx, &[(0, None), (1, None), (512, None), (999, None)]).await
}

async fn reader_of_a_range(cx: Context) -> Outcome {
    ranges(&cx, &[(0, Some(0)), (0, Some(1)), (10, Some(100)), (999, Some(1)), (500, Some(500)), (3, Some(0))]).await
}

async fn reader_offset_at_the_end(cx: Context) -> Outcome {
    ranges(&cx, &[(1000, None), (1000, Some(0)), (1000, Some(7))]).await
}

async fn reader_length_past_the_end(cx: Context) -> Outcome {
    ranges(&cx, &[(0, Some(1001)), (990, Some(11)), (1, Some(u64::MAX))]).await
}

async fn ranges_of_a_large_file(cx: Context) -> Outcome {
    const SIZE: usize = 12 << 20;
    let content = pattern(1, SIZE);
    let path = cx.path("file")?;
    let mut writer = cx.driver().writer(&path, WriteMode::New).await?;
    for at in (0..SIZE).step_by(3 << 20) {
        writer.write(content.slice(at..at + (3 << 20))).await?;
    }
    writer.commit().await?;
    for boundary in [4096, 1 << 16, 1 << 18, 1 << 20, 3 << 20, 4 << 20, 5 << 20, 8 << 20, 9 << 20] {
        for (offset, length) in [(boundary - 1, 2), (boundary, 1), (boundary - 1, 65_537), (boundary + 1, 1 << 20)] {
            let got = read(cx.driver(), &path, ByteRange::new(offset as u64, length as u64)).await?;
            let expected = &content[offset..SIZE.min(offset + length)];
            same_bytes(&format!("reading {SIZE} bytes with offset {offset}, length {length}"), &got, expected)?;
        }
    }
    Ok(())
}

async fn reader_length_above_32_bits(cx: Context) -> Outcome {
    const BEYOND: u64 = 1 << 32;
    ranges(&cx, &[(0, Some(BEYOND)), (10, Some(BEYOND + 1)), (0, Some(BEYOND + 500)), (990, Some(2 * BEYOND + 5))])
        .await
}

/// Reads the rest of a file that was changed while its reader was open.
async fn expect_rest(mut reader: Reader, mut got: Vec<u8>, content: &[u8], changed: &str) -> Outcome {
    loop {
        match reader.next().await {
            Some(Ok(chunk)) => got.extend_from_slice(&chunk),
            Some(Err(_)) => {
                let right = content.starts_with(&got);
                ensure!(right, "before its error, a reader of a file that was {changed} gave bytes of another");
                return Ok(());
            }
            None => return same_bytes(&format!("a reader of a file that was {changed}"), &got, content),
        }
    }
}

/// Larger than what is on its way between a store and a reader that has taken one chunk.
const MORE_THAN_IS_BUFFERED: usize = 8 << 20;

async fn reader_of_a_replaced_file(cx: Context) -> Outcome {
    let (content, new) = (pattern(1, MORE_THAN_IS_BUFFERED), pattern(2, MORE_THAN_IS_BUFFERED));
    for how in ["a put", "a commit", "a move", "a delete and a put"] {
        let path = cx.put("file", content.clone()).await?;
        let mut reader = cx.driver().reader(&path, ByteRange::ALL).await?;
        let first = reader.try_next().await?.unwrap_or_default().to_vec();
        match how {
            "a put" => cx.driver().put_content(&path, new.clone()).await?,
            "a commit" => {
                cx.write(&path, WriteMode::New, new.clone()).await?.commit().await?;
            }
            "a move" => {
                let source = cx.put("source", new.clone()).await?;
                cx.driver().move_file(&source, &path).await?;
            }
            _ => {
                cx.driver().delete(&path).await?;
                cx.driver().put_content(&path, new.clone()).await?;
            }
        }
        expect_rest(reader, first, &content, &format!("replaced by {how}")).await?;
    }
    Ok(())
}

async fn reader_of_a_deleted_file(cx: Context) -> Outcome {
    let content = pattern(1, MORE_THAN_IS_BUFFERED);
    let path = cx.put("file", content.clone()).await?;
    let mut reader = cx.driver().reader(&path, ByteRange::ALL).await?;
    let first = reader.try_next().await?.unwrap_or_default().to_vec();
    cx.driver().delete(&path).await?;
    expect_rest(reader, first, &content, "deleted").await
}

async fn reader_offset_beyond_the_end(cx: Context) -> Outcome {
    let path = cx.put("file", pattern(1, 1000)).await?;
    for range in [ByteRange::from(1001), ByteRange::new(1001, 0), ByteRange::from(1 << 40), ByteRange::from(u64::MAX)] {
        expect_kind(
            &format!("reader of 1000 bytes with {range:?}"),
            cx.driver().reader(&path, range).await,
            "invalid-offset",
        )?;
    }
    Ok(())
}

async fn reader_of_missing(cx: Context) -> Outcome {
    expect_kind(
        "reader of a missing file",
        cx.driver().reader(&cx.path("missing")?, ByteRange::ALL).await,
        "path-not-found",
    )
}

async fn reader_of_a_directory(cx: Context) -> Outcome {
    cx.put("directory/file", "x").await?;
    expect_kind(
        "reader of a directory",
        cx.driver().reader(&cx.path("directory")?, ByteRange::ALL).await,
        "path-not-found",
    )
}

async fn reader_dropped_half_way(cx: Context) -> Outcome {
    let content = pattern(1, 2_000_000);
    let path = cx.put("file", content.clone()).await?;
    // More than a driver has of anything that it opens for a reader and forgets to close.
    for _ in 0..100 {
        let mut reader = cx.driver().reader(&path, ByteRange::ALL).await?;
        if let Some(chunk) = reader.next().await {
            chunk?;
        }
    }
    cx.expect_content(&path, &content).await
}

async fn readers_at_once(cx: Context) -> Outcome {
    const SIZE: usize = 12 << 20;
    let path = cx.path("file")?;
    let content = pattern(1, SIZE);
    let mut writer = cx.driver().writer(&path, WriteMode::New).await?;
    for at in (0..SIZE).step_by(1 << 20) {
        writer.write(content.slice(at..at + (1 << 20))).await?;
    }
    writer.commit().await?;
    let reads = (0..10usize).map(|index| {
        let (cx, path, content) = (cx.clone(), path.clone(), content.clone());
        async move {
            let mut at = index * 1_200_001;
            let mut reader = cx.driver().reader(&path, ByteRange::from(at as u64)).await?;
            while let Some(chunk) = reader.next().await {
                let chunk = chunk?;
                let right = content.get(at..at + chunk.len()).is_some_and(|expected| expected == chunk);
                ensure!(right, "beside other readers, the {} bytes from {at} on are others", chunk.len());
                at += chunk.len();
            }
            ensure!(at == SIZE, "beside other readers, one ended cleanly after {at} of {SIZE} bytes");
            Ok(())
        }
    });
    futures::future::try_join_all(reads).await.map(|_| ())
}

async fn operations_beside_open_readers(cx: Context) -> Outcome {
    let content = pattern(1, 1 << 20);
    let (path, other) = (cx.put("d/file", content.clone()).await?, cx.path("d/other")?);
    let mut readers = Vec::new();
    for _ in 0..10 {
        readers.push(cx.driver().reader(&path, ByteRange::ALL).await?);
    }
    cx.expect_content(&path, &content).await?;
    cx.driver().put_content(&other, "other".into()).await?;
    cx.write(&other, WriteMode::New, "another").await?.commit().await?;
    cx.list(&cx.path("d")?, None).await?;
    cx.driver().delete(&other).await?;
    cx.expect_missing(&other, "delete, beside open readers").await?;
    for (index, reader) in readers.into_iter().enumerate() {
        let got: Vec<Bytes> = reader.try_collect().await?;
        same_bytes(&format!("reading the open reader {index}"), &got.concat(), &content)?;
    }
    Ok(())
}
