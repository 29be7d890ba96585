-- wrk script: usage reports with an id that is unique per request, thread and run.
-- Arguments: path, events per request, file with one API key a line, service, prefix of the ids.
-- A request is a table.concat of parts that never change, with the request's number between them: about a microsecond.

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local templates = {}
sent = 0 -- global, so that done() can read it

local function event(service, prefix, index, time)
  return '{"specversion":"1.0","type":"ams.usage.v1","source":"bench/wrk","subject":"' .. service ..
    '","id":"' .. prefix .. '-' .. number .. '-', -- the request's number goes here
    '-' .. index .. '","time":"' .. time .. '","data":{"requests":1,"request_bytes":512,"response_bytes":20480,' ..
    '"response_time_ms":42.5,"status_code":200,"metadata":{"method":"GET","path":"/a/b/c"}}}'
end

local function body_parts(events, service, prefix)
  local time = os.date("!%Y-%m-%dT%H:%M:%SZ")
  local parts, open = {}, events > 1 and "[" or ""
  for index = 1, events do
    local before, after = event(service, prefix, index, time)
    table.insert(parts, open .. before)
    open = after .. ","
  end
  table.insert(parts, open:sub(1, -2) .. (events > 1 and "]" or ""))
  return parts
end

function init(args)
  local path, events, keys, service, prefix = args[1], tonumber(args[2]), args[3], args[4], args[5]
  local parts = body_parts(events, service, prefix)
  local length = #table.concat(parts, string.format("%010d", 0))
  local kind = events > 1 and "application/cloudevents-batch+json" or "application/cloudevents+json"
  for key in io.lines(keys) do
    local template = { unpack(parts) }
    template[1] = "POST " .. path .. " HTTP/1.1\r\nHost: " .. wrk.host .. "\r\nX-AMS-Key: " .. key ..
      "\r\nContent-Type: " .. kind .. "\r\nContent-Length: " .. length .. "\r\n\r\n" .. template[1]
    table.insert(templates, template)
  end
end

function request()
  sent = sent + 1
  return table.concat(templates[sent % #templates + 1], string.format("%010d", sent))
end

function done(summary, latency)
  local total = 0
  for _, thread in ipairs(threads) do
    total = total + thread:get("sent")
  end
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"seconds": %f, "answered": %d, "sent": %d, "refused": %d, "broken": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.duration / 1e6, summary.requests, total, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
