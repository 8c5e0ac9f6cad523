-- Gate for HTTP: before a request is answered, and before its body is read, Orthanc asks here whether it may. False is 403.
--
-- In Orthanc's own Lua, and not in plugin.py: Orthanc's Python plugin 4.0 loses memory with each request that a filter
-- in Python sees (docs/decisions/0029). What may come in stands in two files that plugin.py keeps
-- (mapnode_plugin/allowances.py); a file that is not there lets nothing in.

local configuration = GetOrthancConfiguration()
local folder = configuration["StorageDirectory"]:gsub("/+$", "") .. "-gate/"
local token = configuration["Mapnode"]["Token"]
local dicomweb = configuration["DicomWeb"]["Root"]:gsub("/+$", "")

-- Orthanc's routes that add to its storage, without what follows them.
local STORES = {
  "^/instances$",
  "^/modalities/[^/]+/get$",
  "^/queries/.+/retrieve$",
  "^/tools/create%-dicom$",
  "^/tools/bulk%-modify$",
  "^/tools/bulk%-anonymize$",
  "^/.+/attachments/[^/]+$",
}
local LEVELS = { patients = true, studies = true, series = true, instances = true }
local CHANGES = { modify = true, anonymize = true, merge = true, split = true }
local STORES_BY_DICOMWEB = { "^/studies$", "^/studies/[^/]+$", "^/servers/[^/]+/retrieve$" }

local function matches(path, patterns)
  for _, pattern in ipairs(patterns) do
    if path:match(pattern) then
      return true
    end
  end
  return false
end

-- Whether a POST or PUT to a route adds to the storage.
local function stores(uri)
  local path = uri:gsub("/+$", "")
  if path:sub(1, #dicomweb + 1) == dicomweb .. "/" then
    return matches(path:sub(#dicomweb + 1), STORES_BY_DICOMWEB)
  end
  local level, change = path:match("^/(%a+)/[^/]+/(%a+)$")
  return (LEVELS[level] and CHANGES[change]) or matches(path, STORES)
end

-- How many bytes may come in; nil: nothing.
local function allowance(name)
  local file = io.open(folder .. name, "r")
  if file == nil then
    return nil
  end
  local bytes = tonumber(file:read("*l"))
  file:close()
  return bytes
end

function IncomingHttpRequestFilter(method, uri, ip, username, headers)
  if (method ~= "POST" and method ~= "PUT") or not stores(uri) then
    return true
  end
  -- What shows the token is the node's own.
  local allowed = allowance(headers["x-mapnode-token"] == token and "results" or "intake")
  local size = tonumber(headers["content-length"]) or 0
  return allowed ~= nil and size <= allowed
end
