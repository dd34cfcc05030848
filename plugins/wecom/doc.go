// Package wecom delivers to WeCom (企业微信) groups through group robots.
//
// A portable message becomes markdown, in which members are mentioned by their
// userid and a level has a colour; where somebody can be called by phone number
// only, it becomes text, the one form that can do that. A native object is sent
// as it is after its shape and sizes were checked. README.md says what an
// operator sees.
//
// What is known of the vendor comes from its developer documentation
// (developer.work.weixin.qq.com): 91770 "消息推送配置说明" for the robot and
// 90313 for the error codes. A comment says so where something was only
// observed.
package wecom
