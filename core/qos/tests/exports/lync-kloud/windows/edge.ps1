# Carillon QoS lync-kloud edge
# Windows 8 and later, Windows Server 2012 and later. Windows 7 has no NetQos cmdlets.
$ErrorActionPreference = 'Stop'
Get-NetQosPolicy | Where-Object { $_.Name -like 'Carillon edge *' } | Remove-NetQosPolicy -Confirm:$false
New-NetQosPolicy -Name 'Carillon edge audio to client' -AppPathNameMatchCondition 'MediaRelaySvc.exe' -IPProtocolMatchCondition Both -IPDstPortStartMatchCondition 20000 -IPDstPortEndMatchCondition 20039 -DSCPAction 46 -NetworkProfile All | Out-Null
New-NetQosPolicy -Name 'Carillon edge audio to conferencing' -AppPathNameMatchCondition 'MediaRelaySvc.exe' -IPProtocolMatchCondition Both -IPDstPortStartMatchCondition 49152 -IPDstPortEndMatchCondition 57500 -DSCPAction 46 -NetworkProfile All | Out-Null
New-NetQosPolicy -Name 'Carillon edge video to client' -AppPathNameMatchCondition 'MediaRelaySvc.exe' -IPProtocolMatchCondition Both -IPDstPortStartMatchCondition 20040 -IPDstPortEndMatchCondition 20079 -DSCPAction 34 -NetworkProfile All | Out-Null
New-NetQosPolicy -Name 'Carillon edge video to conferencing' -AppPathNameMatchCondition 'MediaRelaySvc.exe' -IPProtocolMatchCondition Both -IPDstPortStartMatchCondition 57501 -IPDstPortEndMatchCondition 65535 -DSCPAction 34 -NetworkProfile All | Out-Null
