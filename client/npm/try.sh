# Installs the packed packages in an empty folder, and signs in as a person does who has only Node.
#
#	bash client/npm/try.sh /ABSOLUTE/PATH/OF/PACKAGE.tgz…
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

mkdir "$folder/bin" "$folder/project"
for program in node npm npx sh; do ln -s "$(command -v "$program")" "$folder/bin/$program"; done
cd "$folder/project"
alone() {
	env -i HOME="$folder" TMPDIR="$folder" PATH="$folder/bin" \
		npm_config_offline=true npm_config_update_notifier=false "$@"
}
if alone sh -c 'command -v go'; then exit 1; fi

alone npm install --no-audit --no-fund "$@"
alone npx plugin-oauth --version
alone npx plugin-oauth providers google
alone npx plugin-oauth demo -once
if alone npx plugin-oauth providers gogle; then exit 1; fi
left=$(ls)
wanted=$(printf 'node_modules\npackage-lock.json\npackage.json')
[ "$left" = "$wanted" ] || { echo "It leaves: $left"; exit 1; }
