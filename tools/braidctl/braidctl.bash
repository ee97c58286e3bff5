# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Completion of braidctl(1) for bash. What only braidctl knows (models, knobs,
# owners, tenants) is asked of it, where it answers.

# Ask it; of the options given so far only the socket matters.
_braidctl_ask() {
	local socket=() i
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} != --socket ]] || socket=(--socket "${COMP_WORDS[i + 1]}")
	done
	"${COMP_WORDS[0]}" "${socket[@]}" "$@" 2>/dev/null
}

# _braidctl_names KEY COMMAND...: values of KEY in the command's JSON.
_braidctl_names() {
	local key=$1
	shift
	_braidctl_ask --json "$@" | sed -n "s/^ *\"$key\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p"
}

_braidctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local words='' command='' args=() i
	local limits='weight= priority_ceiling= request_quota= byte_quota= reset'

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--socket | -s) ((i++)) ;;
		-*) ;;
		*)
			if [[ -z $command ]]; then
				command=${COMP_WORDS[i]}
			else
				args+=("${COMP_WORDS[i]}")
			fi
			;;
		esac
	done
	if [[ $prev == --socket || $prev == -s ]]; then
		compopt -o default
		COMPREPLY=()
		return
	fi
	case $command:${#args[@]}:${args[0]-} in
	:*) words='status models tenants owner monitor policy explain runner reload
		stalls trace doctor' ;;
	trace:0:*) compopt -o default ;;
	models:0:*) words=$(_braidctl_names name models) ;;
	tenants:0:*) words="set $(_braidctl_names id tenants)" ;;
	owner:0:*) words="set $(_braidctl_names owner owner)" ;;
	tenants:1:set) words=$(_braidctl_names id tenants) ;;
	owner:1:set) words=$(_braidctl_names owner owner) ;;
	tenants:* | owner:*) words=$limits ;;
	policy:0:*) words='get set' ;;
	policy:1:*) words=$(_braidctl_ask policy get | sed 's/ .*//') ;;
	policy:2:set)
		case ${args[1]} in
		window_policy) words='fixed adaptive' ;;
		fusion_policy) words='none merge fuse merge+fuse branches adaptive' ;;
		share_by) words='uid cgroup' ;;
		esac
		;;
	explain:0:* | explain:2:*) words='window request tenant' ;;
	esac
	[[ $cur != -* ]] || words='--json --socket --help'
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace
}

complete -F _braidctl braidctl
