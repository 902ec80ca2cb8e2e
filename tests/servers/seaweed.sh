#!/bin/sh
# usage: WEED=PROGRAM seaweed.sh ROOT S3_PORT MASTER_PORT VOLUME_PORT FILER_PORT and for each of the four its port for gRPC
#
# Runs SeaweedFS with its S3 gateway on 127.0.0.1, until standard input ends, which it does however the one who started
# this goes away. Then it stops it and removes ROOT, which must not be there before. The S3 keys are those of s3.json.
set -eu
configuration=$(cd "$(dirname "$0")" && pwd)/s3.json
root=$1 s3=$2 master=$3 volume=$4 filer=$5 s3_grpc=$6 master_grpc=$7 volume_grpc=$8 filer_grpc=$9
. "$(dirname "$0")/lifetime.sh"

mkdir "$root/data"
cd "$root"
# Each bucket has volumes of its own, seven at first, and many tests have a bucket of their own.
WEED_S3_SSE_KEY=test-only-sse-key "$WEED" -logtostderr=true server -dir="$root/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
    -master.port="$master" -master.port.grpc="$master_grpc" -master.volumeSizeLimitMB=64 \
    -master.volumePreallocate=false -master.telemetry=false \
    -volume.port="$volume" -volume.port.grpc="$volume_grpc" -volume.max=1000 -volume.preStopSeconds=0 \
    -filer -filer.port="$filer" -filer.port.grpc="$filer_grpc" \
    -s3 -s3.port="$s3" -s3.port.grpc="$s3_grpc" -s3.config="$configuration" -s3.port.iceberg=0 -s3.port.lance=0 \
    -s3.allowEmptyFolder=false &
server=$!
pids="$pids $server"
wait $server || true
echo "SeaweedFS ended by itself"
exit 1
