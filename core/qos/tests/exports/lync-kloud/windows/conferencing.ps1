# Carillon QoS lync-kloud conferencing
# Windows 8 and later, Windows Server 2012 and later. Windows 7 has no NetQos cmdlets.
$ErrorActionPreference = 'Stop'
Get-NetQosPolicy | Where-Object { $_.Name -like 'Carillon conferencing *' } | Remove-NetQosPolicy -Confirm:$false
New-NetQosPolicy -Name 'Carillon conferencing audio' -IPProtocolMatchCondition Both -IPSrcPortStartMatchCondition 49152 -IPSrcPortEndMatchCondition 57500 -DSCPAction 46 -NetworkProfile All | Out-Null
New-NetQosPolicy -Name 'Carillon conferencing video' -IPProtocolMatchCondition Both -IPSrcPortStartMatchCondition 57501 -IPSrcPortEndMatchCondition 65535 -DSCPAction 34 -NetworkProfile All | Out-Null
