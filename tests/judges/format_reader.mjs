// A reader of stores, written from storage/FORMAT.md alone: it judges that text, and shows a port how little there is to do.
//
//     node format_reader.mjs FOLDER < questions
//
// A question is a line of JSON: {"oid", "name_hash", "key_hash", "serial"}, octets in hex. The first line of the output is
// {"generation"} or {"error"}; then follows one for each question: {"sha256"}, null for no answer, or {"error"}. Errors have
// the names of section 11.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

class Refused extends Error {}
const check = (holds, error) => { if (!holds) throw new Refused(error); };
const sha256 = (octets) => createHash("sha256").update(octets).digest("hex");
const hex = (text, size) => {
  check(typeof text === "string" && new RegExp(`^[0-9a-f]{${2 * size}}$`).test(text), "Malformed");
  return Buffer.from(text, "hex");
};

// ---- Section 2: documents

const whole = (value, limit = 2 ** 53) => {
  check(Number.isInteger(value) && value >= 0 && value < limit, "Malformed");
  return value;
};
const time = (value) => whole(value, 253402300800);
const list = (value) => { check(Array.isArray(value), "Malformed"); return value; };
const object = (value) => { check(value !== null && typeof value === "object" && !Array.isArray(value), "Malformed"); return value; };
const text = (value) => { check(typeof value === "string", "Malformed"); return value; };
const octets = (value) => {
  const read = Buffer.from(text(value), "base64");
  check(read.toString("base64") === value, "Malformed");
  return read;
};
const OID = /^(?:[01]\.[1-3]?[0-9]|2\.(?:0|[1-9][0-9]*))(?:\.(?:0|[1-9][0-9]*))*$/;
const oid = (value) => { check(OID.test(text(value)), "Malformed"); return value; };
const name = (value, ...folders) => {
  const pattern = /^(?:packs\/[0-9a-f]{8}-[0-9a-f]{32}|(?:tables|windows|manifests|keys)\/[0-9a-f]{64})$/;
  check(pattern.test(text(value)) && folders.includes(value.split("/")[0]), "Malformed");
  return value;
};
const parse = (data) => {
  try {
    return object(JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data)));
  } catch (e) {
    throw e instanceof Refused ? e : new Refused("Malformed");
  }
};

const CRC = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n >>> 0;
});
const crc32 = (...parts) => {
  let crc = 0xffffffff;
  for (const part of parts) for (const octet of part) crc = (crc >>> 8) ^ CRC[(crc ^ octet) & 255];
  return (crc ^ 0xffffffff) >>> 0;
};
const u32 = (number) => { const out = Buffer.alloc(4); out.writeUInt32LE(number); return out; };

// ---- Section 3: keys

const M = (1n << 64n) - 1n;
const [P1, P2, P3, P4, P5] = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n];
const rotate = (x, n) => ((x << n) | (x >> (64n - n))) & M;
const round = (sum, input) => (rotate((sum + input * P2) & M, 31n) * P1) & M;

export function xxh64(data, seed) {
  let at = 0;
  let hash;
  if (data.length >= 32) {
    let lanes = [(seed + P1 + P2) & M, (seed + P2) & M, seed, (seed - P1) & M];
    for (; at + 32 <= data.length; at += 32) lanes = lanes.map((lane, i) => round(lane, data.readBigUInt64LE(at + 8 * i)));
    hash = (rotate(lanes[0], 1n) + rotate(lanes[1], 7n) + rotate(lanes[2], 12n) + rotate(lanes[3], 18n)) & M;
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * P1 + P4) & M;
  } else {
    hash = (seed + P5) & M;
  }
  hash = (hash + BigInt(data.length)) & M;
  for (; at + 8 <= data.length; at += 8) hash = (rotate(hash ^ round(0n, data.readBigUInt64LE(at)), 27n) * P1 + P4) & M;
  if (at + 4 <= data.length) {
    hash = (rotate(hash ^ ((BigInt(data.readUInt32LE(at)) * P1) & M), 23n) * P2 + P3) & M;
    at += 4;
  }
  for (; at < data.length; at++) hash = (rotate(hash ^ ((BigInt(data[at]) * P5) & M), 11n) * P1) & M;
  hash = ((hash ^ (hash >> 33n)) * P2) & M;
  hash = ((hash ^ (hash >> 29n)) * P3) & M;
  return hash ^ (hash >> 32n);
}

const partOf = (key, low, high, parts) => Number((BigInt(key - low) * BigInt(parts)) / BigInt(high - low));

// ---- Section 6: from record to response

const tlv = (tag, ...values) => {
  const value = Buffer.concat(values);
  let size = [value.length];
  if (value.length >= 128) {
    size = [];
    for (let rest = value.length; rest > 0; rest = Math.floor(rest / 256)) size.unshift(rest % 256);
    size.unshift(0x80 + size.length);
  }
  return Buffer.concat([Buffer.from([tag, ...size]), value]);
};
const integer = (number) => {
  let at = 0;
  while (at < number.length - 1 && number[at] === 0) at++;
  const rest = number.subarray(at);
  return tlv(0x02, Buffer.from(rest[0] >= 0x80 ? [0] : []), rest);
};
const digits = (seconds) => Buffer.from(new Date(seconds * 1000).toISOString().slice(0, 19).replace(/[-T:]/g, ""));
const SIZES = { revoked_at: 4, reason: 1 };

function response(tables, issuer, shape, window, which, record) {
  const { template, algorithm, encoding, signature_bytes: size } = shape.responses[which];
  const values = { serial: record.subarray(0, shape.serial_bytes), responder_id: issuer.responder_id };
  for (const field of ["produced_at", "this_update", "next_update"]) values[field] = digits(window[field]);
  let at = shape.serial_bytes;
  for (const field of shape.fields) {
    values[field] = record.subarray(at, at + SIZES[field]);
    at += SIZES[field];
  }
  if (values.revoked_at) values.revoked_at = digits(values.revoked_at.readUInt32LE());
  const data = Buffer.from(tables.templates[template].tbs);
  const filled = new Set();
  for (const hole of tables.templates[template].holes) {
    const kind = { issuer_name_hash: "name_hashes", issuer_key_hash: "key_hashes" }[hole.field];
    const value = kind ? issuer[kind][hole.hash] : values[hole.field];
    check(value !== undefined && value.length === hole.size, "Malformed");
    value.copy(data, hole.at);
    filled.add(hole.field);
  }
  check(["serial", ...shape.fields].every((field) => filled.has(field)), "Malformed");
  for (let before = 0; before < which; before++) at += shape.responses[before].signature_bytes;
  let signature = record.subarray(at, at + size);
  if (encoding === "ecdsa") signature = tlv(0x30, integer(signature.subarray(0, size / 2)), integer(signature.subarray(size / 2)));
  const certs = issuer.responder_certificate ? [tlv(0xa0, tlv(0x30, issuer.responder_certificate))] : [];
  const basic = tlv(0x30, data, algorithm, tlv(0x03, Buffer.from([0]), signature), ...certs);
  const bytes = tlv(0x30, Buffer.from("06092b0601050507300101", "hex"), tlv(0x04, basic));
  return tlv(0x30, Buffer.from([0x0a, 1, 0]), tlv(0xa0, bytes));
}

// ---- Sections 5 and 14: tables and windows

const byOid = (value) => Object.fromEntries(Object.entries(object(value)).map(([key, one]) => [oid(key), octets(one)]));
const HOLES = ["issuer_name_hash", "issuer_key_hash", "responder_id", "produced_at", "this_update", "next_update", "serial", "revoked_at", "reason"];
const SHA256 = "2.16.840.1.101.3.4.2.1";

function readIssuer(item) {
  const [names, keys] = [byOid(item.name_hashes), byOid(item.key_hashes)];
  check(Object.keys(names).sort().join() === Object.keys(keys).sort().join() && names[SHA256] !== undefined, "Malformed");
  check(sha256(Buffer.concat([names[SHA256], keys[SHA256]])).slice(0, 16) === hex(item.id, 8).toString("hex"), "Malformed");
  const certificate = item.responder_certificate == null ? null : octets(item.responder_certificate);
  return { id: item.id, name_hashes: names, key_hashes: keys, responder_id: octets(item.responder_id), responder_certificate: certificate };
}

function readTemplate(item) {
  const tbs = octets(item.tbs);
  let end = 0;
  for (const hole of list(item.holes)) {
    check(HOLES.includes(text(hole.field)), "UnknownFeature");
    check(whole(hole.at) >= end && whole(hole.size) > 0 && hole.at + hole.size <= tbs.length, "Malformed");
    if (hole.hash != null) oid(hole.hash);
    end = hole.at + hole.size;
  }
  return { tbs, holes: item.holes };
}

const FIELDS = { good: [""], unknown: [""], revoked: ["revoked_at", "revoked_at,reason"] };

function readShape(item, templates) {
  check(FIELDS[text(item.status)] !== undefined, "UnknownFeature");
  check(list(item.fields).every((field) => SIZES[field]), "UnknownFeature");
  check(FIELDS[item.status].includes(item.fields.join()), "Malformed");
  const responses = list(item.responses).map((one) => {
    check(["ecdsa", "octets"].includes(text(one.encoding)), "UnknownFeature");
    check(whole(one.signature_bytes, 65536) > 0 && (one.encoding !== "ecdsa" || one.signature_bytes % 2 === 0), "Malformed");
    check(list(one.hashes).length > 0 && whole(one.template) < templates, "Malformed");
    one.hashes.forEach(oid);
    return { ...one, algorithm: octets(one.algorithm) };
  });
  const hashes = responses.flatMap((one) => one.hashes);
  check(hashes.length > 0 && new Set(hashes).size === hashes.length, "Malformed");
  check(whole(item.serial_bytes, 256) > 0, "Malformed");
  const sizes = [...item.fields.map((field) => SIZES[field]), ...responses.map((one) => one.signature_bytes)];
  return { ...item, responses, stride: sizes.reduce((sum, size) => sum + size, item.serial_bytes) };
}

function readWindow(item) {
  ["produced_at", "this_update", "next_update", "refresh_by"].forEach((field) => time(item[field]));
  check(item.this_update <= item.next_update, "Malformed");
  return item;
}

function prove(tables, shape, answer, windows) {
  const issuer = tables.issuers[whole(answer.issuer)];
  const times = tables.version === 1 ? windows[whole(answer.window)] : answer;
  check(issuer !== undefined && times !== undefined, "Malformed");
  const record = octets(answer.record);
  check(record.length === shape.stride && list(answer.sha256).length === shape.responses.length, "Malformed");
  if (tables.version > 1) {
    ["produced_at", "this_update", "next_update"].forEach((field) => time(times[field]));
    const key = xxh64(record.subarray(0, shape.serial_bytes), BigInt(`0x${issuer.id}`));
    check(hex(answer.key, 8).readBigUInt64BE() === key, "KnownAnswer");
  }
  answer.sha256.forEach((digest, which) => {
    check(hex(digest, 32).toString("hex") === sha256(response(tables, issuer, shape, times, which, record)), "KnownAnswer");
  });
}

// ---- Sections 7 to 9

export class Reader {
  constructor(folder) {
    this.folder = folder;
    this.tables = new Map();
    this.directories = new Map();
    const number = this.head();
    check(number > 0, "Missing");
    this.generation = number;
    const commit = this.commit(number);
    const manifest = this.document(name(commit.manifest, "manifests"), 1, 2);
    const [shards, overlays] = manifest.version === 1 ? this.rows(manifest) : this.columns(manifest);
    let end = 0;
    for (const shard of shards) {
      check(shard.low === end && shard.high > shard.low, "Malformed");
      end = shard.high;
    }
    check(end === 2 ** 32, "Malformed");
    this.searched = [...overlays, ...shards];
    this.overlays = overlays.length;
    for (const shard of this.searched) {
      check(shard.low < shard.high && shard.directory_at < shard.size, "Malformed");
      if (!this.tables.has(shard.runs)) this.tables.set(shard.runs, this.load(shard.runs));
    }
    this.keys = manifest.overlay_keys == null ? null : this.overlayKeys(name(manifest.overlay_keys, "keys"));
  }

  overlayKeys(object) {
    const data = this.get(object);
    check(sha256(data) === object.split("/")[1], "Checksum");
    check(data.length >= 32, "Truncated");
    check(data.subarray(0, 8).toString("latin1") === "PREGENK\n", "BadMagic");
    check(data.readUInt16LE(8) === 1, "UnsupportedVersion");
    const [width, count] = [data.readUInt16LE(10), data.readUInt32LE(12)];
    check(width === 1 || width === 2, "Malformed");
    check(data.length === 32 + count * (4 + width), "Truncated");
    const first = new Map();
    let before = -1;
    for (let i = 0; i < count; i++) {
      const [key, number] = [data.readUInt32LE(32 + 4 * i), data.readUIntLE(32 + 4 * count + width * i, width)];
      check(key > before && number < this.overlays, "Malformed");
      first.set(key, number);
      before = key;
    }
    return first;
  }

  get(object) {
    const path = join(this.folder, object);
    check(existsSync(path), "Missing");
    return readFileSync(path);
  }

  has(number) {
    return existsSync(join(this.folder, this.commitName(number)));
  }

  commitName(number) {
    return `commits/${String(number).padStart(20, "0")}`;
  }

  head() {
    let low = 0;
    if (existsSync(join(this.folder, "LATEST"))) {
      const hint = this.get("LATEST").toString();
      if (/^[0-9]{1,19}$/.test(hint) && this.has(BigInt(hint))) low = Number(hint);
    }
    let step = 1;
    for (; this.has(low + step); step *= 2) low += step;
    let high = low + step;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.has(middle)) low = middle; else high = middle;
    }
    return low;
  }

  commit(number) {
    const data = this.get(this.commitName(number));
    const end = /^,"crc":"([0-9a-f]{8})"}$/.exec(data.subarray(-18).toString("latin1"));
    check(end !== null, "Truncated");
    check(parseInt(end[1], 16) === crc32(data.subarray(0, -18)), "Checksum");
    const commit = parse(data);
    check(whole(commit.reader_min) <= 2, "UpgradeNeeded");
    check(commit.number === number, "Malformed");
    time(commit.as_of);
    return commit;
  }

  document(object, ...versions) {
    const data = this.get(object);
    check(sha256(data) === object.split("/")[1], "Checksum");
    const document = parse(data);
    check(versions.includes(whole(document.version)), "UnsupportedVersion");
    const isOfTheFirstManifests = object.startsWith("manifests/") && document.version === 1;
    if (!isOfTheFirstManifests) check(list(document.features).length === 0, "UnknownFeature");
    return document;
  }

  shard(low, high, row, runs) {
    const [size, directory_at] = [whole(row.size), whole(row.directory_at)];
    const crc = hex(row.directory_crc, 4).readUInt32BE();
    time(row.refresh_by);
    time(row.next_update);
    return { low: whole(low, 2 ** 32), high: whole(high, 2 ** 32 + 1), pack: name(row.pack, "packs"), size, directory_at, crc, runs };
  }

  rows(manifest) {
    const read = (rows) => list(rows).map((row) => this.shard(row.low, row.high, object(row), name(row.tables, "tables")));
    return [read(manifest.shards), read(manifest.overlays)];
  }

  columns(manifest) {
    const windows = list(manifest.windows).map((one) => name(one, "windows", "tables"));
    const needed = ["low", "pack", "size", "directory_at", "directory_crc", "windows", "refresh_by", "next_update"];
    const read = (columns, members) => {
      const count = list(object(columns).low).length;
      members.forEach((member) => check(list(columns[member]).length === count, "Malformed"));
      return Array.from({ length: count }, (_, i) => {
        const row = Object.fromEntries(members.map((member) => [member, columns[member][i]]));
        const high = members.includes("high") ? row.high : i + 1 < count ? columns.low[i + 1] : 2 ** 32;
        return this.shard(row.low, high, row, windows[whole(row.windows, windows.length)]);
      });
    };
    return [read(manifest.shards, needed), read(manifest.overlays, [...needed, "high"])];
  }

  load(object) {
    const numbered = object.startsWith("windows/") ? this.document(object, 2) : null;
    const document = numbered ? this.document(name(numbered.tables, "tables"), 2) : this.document(object, 1);
    const issuers = list(document.issuers).map(readIssuer);
    check(document.version > 1 || new Set(issuers.map((one) => one.id)).size === issuers.length, "Malformed");
    const templates = list(document.templates).map(readTemplate);
    const shapes = list(document.shapes).map((one) => readShape(one, templates.length));
    const tables = { version: document.version, issuers, templates, shapes };
    tables.windows = list((numbered ?? document).windows).map(readWindow);
    shapes.forEach((shape) => prove(tables, shape, shape.known_answer, tables.windows));
    tables.runs = list((numbered ?? document).runs).map((run) => {
      check(list(run).length === 3, "Malformed");
      const found = [issuers[whole(run[0])], shapes[whole(run[1])], tables.windows[whole(run[2])]];
      check(found.every((one) => one !== undefined), "Malformed");
      return found;
    });
    return tables;
  }

  lookup({ oid: asked, name_hash, key_hash, serial }) {
    let id = null;
    for (const tables of this.tables.values())
      for (const issuer of tables.issuers)
        if (issuer.name_hashes[asked]?.toString("hex") === name_hash && issuer.key_hashes[asked]?.toString("hex") === key_hash) id = issuer.id;
    if (id === null) return null;
    const wanted = Buffer.from(serial, "hex");
    const key32 = Number(xxh64(wanted, BigInt(`0x${id}`)) >> 32n);
    const first = this.keys === null ? 0 : this.keys.get(key32) ?? this.overlays;
    for (const shard of this.searched.slice(first)) {
      if (key32 < shard.low || key32 >= shard.high) continue;
      const tables = this.tables.get(shard.runs);
      const hit = this.find(shard, tables, key32, id, wanted);
      if (hit === null) continue;
      const [[issuer, shape, window], record] = hit;
      const which = shape.responses.findIndex((one) => one.hashes.includes(asked));
      return which < 0 ? null : response(tables, issuer, shape, window, which, record);
    }
    return null;
  }

  directory(shard) {
    if (!this.directories.has(shard.pack)) {
      const pack = this.get(shard.pack);
      const directory = pack.subarray(shard.directory_at, shard.size);
      check(directory.length === shard.size - shard.directory_at && directory.length >= 32, "Truncated");
      const trailer = directory.subarray(-32);
      check(trailer.subarray(0, 8).toString("latin1") === "PREGEN\r\n", "BadMagic");
      check(trailer.readUInt16LE(8) === 1, "UnsupportedVersion");
      check(trailer.readUInt16LE(10) === 0, "UnknownFeature");
      check(crc32(directory) === shard.crc, "Checksum");
      check(trailer.subarray(16).toString("hex") === shard.pack.slice(-32), "Malformed");
      const count = trailer.readUInt32LE(12);
      check(count > 0 && 4 * (count + 1) + 32 === directory.length, "Malformed");
      check(directory.readUInt32LE(0) === 8 && directory.readUInt32LE(4 * count) === shard.directory_at, "Malformed");
      this.directories.set(shard.pack, { pack, directory, count, id: trailer.subarray(16) });
    }
    return this.directories.get(shard.pack);
  }

  find(shard, tables, key32, id, serial) {
    const { pack, directory, count, id: packId } = this.directory(shard);
    const number = partOf(key32, shard.low, shard.high, count);
    const [start, end] = [directory.readUInt32LE(4 * number), directory.readUInt32LE(4 * number + 4)];
    check(start + 6 <= end && end <= shard.directory_at, "Malformed");
    const bucket = pack.subarray(start, end);
    check(bucket.readUInt32LE() === crc32(packId, u32(number), bucket.subarray(4)), "Checksum");
    let at = 6;
    for (let run = bucket.readUInt16LE(4); run > 0; run--) {
      check(at + 6 <= bucket.length, "Malformed");
      const found = tables.runs[bucket.readUInt32LE(at)];
      check(found !== undefined, "Malformed");
      const [issuer, shape] = found;
      const records = bucket.readUInt16LE(at + 4);
      at += 6;
      check(at + records * shape.stride <= bucket.length, "Malformed");
      for (let i = 0; i < records; i++, at += shape.stride)
        if (issuer.id === id && shape.serial_bytes === serial.length && bucket.subarray(at, at + serial.length).equals(serial))
          return [found, bucket.subarray(at, at + shape.stride)];
    }
    check(at === bucket.length, "Malformed");
    return null;
  }
}

const said = (make) => {
  try {
    return make();
  } catch (e) {
    if (e instanceof Refused) return { error: e.message };
    throw e;
  }
};

// Each line is an array: a store, and questions; what is said of the store, and then of each question, is one as well.
for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const [store, ...questions] = JSON.parse(line);
  let reader;
  const loaded = said(() => { reader = new Reader(store); return { generation: reader.generation }; });
  const answers = (reader ? questions : []).map((one) => said(() => { const der = reader.lookup(one); return der && { sha256: sha256(der) }; }));
  console.log(JSON.stringify([loaded, ...answers]));
}
