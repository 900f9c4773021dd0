# Carillon QoS lync-kloud client
# Windows 8 and later, Windows Server 2012 and later. Windows 7 has no NetQos cmdlets.
$ErrorActionPreference = 'Stop'
Get-NetQosPolicy | Where-Object { $_.Name -like 'Carillon client *' } | Remove-NetQosPolicy -Confirm:$false
New-NetQosPolicy -Name 'Carillon client audio (communicator.exe)' -AppPathNameMatchCondition 'communicator.exe' -IPProtocolMatchCondition Both -IPSrcPortStartMatchCondition 20000 -IPSrcPortEndMatchCondition 20039 -DSCPAction 46 -NetworkProfile All | Out-Null
New-NetQosPolicy -Name 'Carillon client video (communicator.exe)' -AppPathNameMatchCondition 'communicator.exe' -IPProtocolMatchCondition Both -IPSrcPortStartMatchCondition 20040 -IPSrcPortEndMatchCondition 20079 -DSCPAction 34 -NetworkProfile All | Out-Null
New-NetQosPolicy -Name 'Carillon client signaling (communicator.exe)' -AppPathNameMatchCondition 'communicator.exe' -IPProtocolMatchCondition TCP -IPDstPortMatchCondition 5061 -DSCPAction 24 -NetworkProfile All | Out-Null
New-NetQosPolicy -Name 'Carillon client audio (lync.exe)' -AppPathNameMatchCondition 'lync.exe' -IPProtocolMatchCondition Both -IPSrcPortStartMatchCondition 20000 -IPSrcPortEndMatchCondition 20039 -DSCPAction 46 -NetworkProfile All | Out-Null
New-NetQosPolicy -Name 'Carillon client video (lync.exe)' -AppPathNameMatchCondition 'lync.exe' -IPProtocolMatchCondition Both -IPSrcPortStartMatchCondition 20040 -IPSrcPortEndMatchCondition 20079 -DSCPAction 34 -NetworkProfile All | Out-Null
New-NetQosPolicy -Name 'Carillon client signaling (lync.exe)' -AppPathNameMatchCondition 'lync.exe' -IPProtocolMatchCondition TCP -IPDstPortMatchCondition 5061 -DSCPAction 24 -NetworkProfile All | Out-Null
