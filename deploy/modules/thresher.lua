-- A module for Lmod: copy it to thresher/VERSION.lua of a module path, and set `root` to the folder
-- that an archive of `deploy/package program` has made.
help([[Prepares training data for language models. Start with: thresher --help, man thresher]])
whatis("Name: thresher")
whatis("Description: Prepares training data for language models")

local root = "/opt/thresher-" .. myModuleVersion() .. "-x86_64-linux"
prepend_path("PATH", pathJoin(root, "bin"))
prepend_path("MANPATH", pathJoin(root, "share/man"))
-- The sample of the guide's first pages.
setenv("THRESHER_SAMPLE", pathJoin(root, "share/thresher/deploy/sample"))
