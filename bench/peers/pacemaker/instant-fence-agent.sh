#!/bin/bash
# A fence agent that confirms at once, as a perfect power switch would: the bench has cut the power already. Real ones add seconds.
# Options come on standard input as name=value lines, or the action as `-o ACTION`.
action=
if [ "$1" = -o ]; then
  action=$2
else
  while IFS='=' read -r option value; do [ "$option" = action ] && action=$value; done
fi
case $action in
metadata)
  cat <<XML
<?xml version="1.0" ?>
<resource-agent name="fence_legacy" shortdesc="instant">
<longdesc>Confirms at once.</longdesc><vendor-url>none</vendor-url>
<parameters>
<parameter name="action" unique="0" required="1"><getopt mixed="-o"/><content type="string" default="reboot"/><shortdesc lang="en">action</shortdesc></parameter>
<parameter name="port" unique="0" required="0"><getopt mixed="-n"/><content type="string"/><shortdesc lang="en">node</shortdesc></parameter>
</parameters>
<actions>
<action name="on" automatic="0"/><action name="off"/><action name="reboot"/><action name="status"/><action name="list"/><action name="monitor"/><action name="metadata"/>
</actions>
</resource-agent>
XML
  ;;
esac
exit 0
