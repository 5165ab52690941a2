#!/usr/bin/env bash
# mkdocs-material 9.8.2: the built-in plugin `offline`, which is there so that a site can be opened from a disk without a
# network, adds a script from unpkg.com to every page. Without the plugin the same site names no other host in a script:
#
#     plugins: [search]            scripts from other hosts: none
#     plugins: [search, offline]   scripts from other hosts: https://unpkg.com/iframe-worker/shim
#
# The theme's fonts are switched off in both (`font: false`), so that they are not what asks.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mkdocs==1.6.1 mkdocs-material==9.8.2
mkdir "$folder/docs"
echo '# Home' > "$folder/docs/index.md"
for plugins in '[search]' '[search, offline]'; do
  printf 'site_name: Site\ntheme: {name: material, font: false}\nplugins: %s\n' "$plugins" > "$folder/mkdocs.yml"
  rm -rf "$folder/site"
  (cd "$folder" && NO_MKDOCS_2_WARNING=1 venv/bin/mkdocs build --quiet)
  scripts=$(grep -o '<script[^>]*src="\?https\?://[^" >]*' "$folder/site/index.html" | sed 's/.*src="\?//' || true)
  echo "plugins: $plugins    scripts from other hosts: ${scripts:-none}"
  case "$plugins" in
    '[search]') test -z "$scripts" || { echo "the plain site asks another host now"; exit 1; } ;;
    *) grep -q 'unpkg.com' <<< "$scripts" || { echo "the offline plugin no longer asks unpkg.com"; exit 1; } ;;
  esac
done
