#!/bin/sh
# usage: ceph.sh ROOT S3_PORT MONITOR_PORT MONITOR_V1_PORT
#
# Runs Ceph's object gateway, with a monitor and a daemon that stores in memory, on 127.0.0.1, until standard input ends,
# which it does however the one who started this goes away. Then it stops them and removes ROOT, which must not be there
# before. The S3 keys are testaccess and testsecret123; KMS has a key of the id testkey.
set -eu
root=$1 s3=$2 monitor=$3 monitor_v1=$4
. "$(dirname "$0")/lifetime.sh"

uuid() { cat /proc/sys/kernel/random/uuid; }
cluster=$(uuid)
daemon=$(uuid)
addresses="[v2:127.0.0.1:$monitor,v1:127.0.0.1:$monitor_v1]"
mkdir "$root/mon" "$root/osd" "$root/run" "$root/rgw"
cat > "$root/ceph.conf" <<END
[global]
fsid = $cluster
mon host = $addresses
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
# The daemon takes eight free ones of these.
ms bind port min = 16800
ms bind port max = 16999
auth allow insecure global id reclaim = false
keyring = $root/keyring
run dir = $root/run
# The path of a socket must not be as long as ROOT may be.
admin socket =
log to file = false
log to stderr = true
mon cluster log to file = false
debug rgw = 0/0
debug osd = 0/0
debug mon = 0/0
debug rocksdb = 0/0
client mount timeout = 60
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd crush chooseleaf type = 0
mon max pg per osd = 1000
mon allow pool size one = true
mon data avail warn = 1
mon data avail crit = 1
[mon.a]
mon data = $root/mon
[osd]
osd data = $root/osd
osd objectstore = memstore
memstore device bytes = 17179869184
osd class load list = *
osd class default list = *
[client.rgw.a]
rgw data = $root/rgw
rgw frontends = beast endpoint=127.0.0.1:$s3
rgw crypt require ssl = false
# What is deleted leaves the memory at once, not after two hours.
rgw gc obj min wait = 1
rgw gc processor period = 3
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = testkey=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=
rgw enable usage log = false
rgw enable ops log = false
rgw swift account in url = true
rgw swift url = http://127.0.0.1:$s3
END
export CEPH_CONF="$root/ceph.conf"

key() {
    name=$1
    shift
    ceph-authtool --gen-key -n "$name" "$root/keyring" "$@"
}
ceph-authtool --create-keyring "$root/keyring"
key mon. --cap mon 'allow *'
key client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mds 'allow *' --cap mgr 'allow *'
key osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' --cap mgr 'allow profile osd'
key client.rgw.a --cap mon 'allow rw' --cap osd 'allow rwx'
monmaptool --create --fsid "$cluster" --addv a "$addresses" "$root/monmap"
ceph-mon --mkfs -i a --monmap "$root/monmap" --keyring "$root/keyring"
ceph-mon -f -i a &
pids="$pids $!"
ceph --connect-timeout 60 osd new "$daemon"
ceph-osd --mkfs -i 0 --osd-uuid "$daemon"
ceph-osd -f -i 0 &
pids="$pids $!"

radosgw-admin user create --uid=test --display-name=test --access-key=testaccess --secret-key=testsecret123
radosgw-admin subuser create --uid=test --subuser=test:swift --access=full
radosgw-admin key create --subuser=test:swift --key-type=swift --secret-key=testing
# A second storage class, which S3 knows by this name.
class=REDUCED_REDUNDANCY
radosgw-admin zonegroup placement add --rgw-zonegroup default --placement-id default-placement --storage-class $class
radosgw-admin zone placement add --rgw-zone default --placement-id default-placement --storage-class $class \
    --data-pool default.rgw.rr.data
radosgw -f -n client.rgw.a &
gateway=$!
pids="$pids $gateway"
wait $gateway || true
echo "radosgw ended by itself"
exit 1
